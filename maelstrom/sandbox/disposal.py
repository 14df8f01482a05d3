"""Have the outer process free what a slot needs no more.

The kernel takes some 200 us to end a mount namespace, most of it waiting. The slot hands the
descriptors over and goes on.
"""

import os
import select
import socket

DESCRIPTORS_MAX = 200
# The kernel counts what is under way against the user's limit of open files: a slot that is faster
# than its other end must wait for it. The least it grants holds some five messages.
SEND_BUFFER_BYTES = 1
HOLD_S_MAX = 0.01


class Disposal:
    """The slot's end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def dispose(self, descriptors: list[int]) -> None:
        """Let go of descriptors; what the other end does not take ends here."""
        try:
            if descriptors:
                socket.send_fds(self._connection, [b"x"], descriptors[:DESCRIPTORS_MAX])
        except OSError:
            pass
        for descriptor in descriptors:
            os.close(descriptor)


def serve_disposal(connection: socket.socket) -> None:
    """Close what comes, until the slot is gone.

    Each a moment later: whoever closes his copy last has to wait, and that is not to be the slot.
    """
    held: list[int] = []
    while True:
        descriptors: list[int] = []
        if not held or select.select([connection], [], [], HOLD_S_MAX)[0]:
            # A slot that sends more has closed what it sent before.
            message, descriptors, _, _ = socket.recv_fds(connection, 1, DESCRIPTORS_MAX)
            if not message:
                return
        for descriptor in held:
            os.close(descriptor)
        held = descriptors
