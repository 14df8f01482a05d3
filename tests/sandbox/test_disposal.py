"""What a slot lets go of."""

import os
import socket

from maelstrom.sandbox.disposal import Disposal


def test_a_slot_waits_for_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        disposal = Disposal(ours)
        ours.setblocking(False)
        for _ in range(1000):
            # What is not taken ends at once.
            disposal.dispose([os.open("/", os.O_PATH)])
        count = 0
        theirs.setblocking(False)
        try:
            while True:
                message, descriptors, _, _ = socket.recv_fds(theirs, 1, 10)
                count += len(message)
                for descriptor in descriptors:
                    os.close(descriptor)
        except BlockingIOError:
            pass
        assert 0 < count < 50
