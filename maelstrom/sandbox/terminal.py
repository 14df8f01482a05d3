"""Look after a job that runs on a terminal: what is typed goes in, what it shows goes out."""

import contextlib
import os
import select
import time

from maelstrom.linux.ipc import IpcObjects
from maelstrom.sandbox.channel import Channel
from maelstrom.sandbox.forked import resize
from maelstrom.sandbox.job import READ_BYTES, Pipes, Process, Watcher, WorkerGone
from maelstrom.sandbox.steps import Watch

# Typed ahead of a program that does not read; what is more is lost, as with any terminal.
INPUT_BYTES_MAX = 1 << 20


class TerminalWatcher(Watcher):
    """As for any job, but all output comes from its terminal and is passed on at once."""

    def __init__(
        self,
        process: Process,
        terminal: int,
        pipes: Pipes,
        watch: Watch,
        channel: Channel,
        objects: IpcObjects,
    ) -> None:
        super().__init__(process, pipes, watch, channel, objects)
        self._terminal = terminal
        self._typed = bytearray()

    def _wait(self) -> None:
        poll = select.poll()
        for descriptor in (self._terminal, self._process.descriptor, self._channel.fileno()):
            poll.register(descriptor, select.POLLIN)
        is_shown = True
        while True:
            for descriptor, _ in poll.poll(max(0.0, self._patience_s() * 1000)):
                if descriptor == self._process.descriptor:
                    while self._show():
                        pass
                    return
                if descriptor == self._channel.fileno():
                    if self._is_told_to_end():
                        return
                elif not self._show() and is_shown:
                    # Nobody has it open at the moment; that is no news.
                    poll.unregister(self._terminal)
                    is_shown = False
            self._type()
            if self._is_over(time.monotonic()):
                return

    def _patience_s(self) -> float:
        return min(self._deadline_s, self._sample_s) - time.monotonic()

    def _is_told_to_end(self) -> bool:
        message = self._channel.receive()
        match message:
            case None:
                raise WorkerGone
            case ("input", bytes(content)):
                self._typed += content[: INPUT_BYTES_MAX - len(self._typed)]
            case ("resize", int(rows), int(columns)):
                resize(self._terminal, rows, columns)
            case _:
                self._why = "killed"
                return True
        return False

    def _type(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            while self._typed:
                del self._typed[: os.write(self._terminal, self._typed)]

    def _show(self) -> bool:
        """Pass on what there is; whether there was something."""
        try:
            content = os.read(self._terminal, READ_BYTES)
        except OSError:
            return False
        self._stdout.add(content)
        self._channel.send(("output", content))
        return bool(content)
