"""What a slot lets go of."""

import os
import socket
import threading

from maelstrom.sandbox.disposal import Disposal, serve_disposal


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


def test_what_is_sent_is_held_until_the_slot_has_closed_its_own() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        server = threading.Thread(target=serve_disposal, args=(theirs,))
        server.start()
        reads, disposal = [], Disposal(ours)
        for _ in range(2):
            read, write = os.pipe()
            reads.append(read)
            disposal.dispose([write])
        for read in reads:
            # The end of what is read tells that no copy is left.
            assert os.read(read, 1) == b""
            os.close(read)
        ours.close()
        server.join()
