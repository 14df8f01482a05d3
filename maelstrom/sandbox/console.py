"""Tie the terminal we run on to that of a job."""

import asyncio
import contextlib
import os
import signal
import termios
import tty
from collections.abc import AsyncIterator

from maelstrom.model.spec import Terminal as Size
from maelstrom.sandbox.ports import Terminal

ESCAPE = 0x1D
"""^], as is usual; twice for itself."""
_KILL, _SUSPEND = 0x03, 0x1A
READ_BYTES = 4096
_INPUT, _OUTPUT = 0, 1

Action = bytes | str


class Escapes:
    """Tell what is typed for the job from what is typed for us: pure."""

    def __init__(self) -> None:
        self._is_escaped = False

    def feed(self, typed: bytes) -> list[Action]:
        """Return bytes to pass on, and the words `kill` and `suspend`, in their order."""
        found: list[Action] = []
        plain = bytearray()
        for byte in typed:
            if not self._is_escaped and byte == ESCAPE:
                self._is_escaped = True
                continue
            if self._is_escaped and byte in (_KILL, _SUSPEND):
                if plain:
                    found.append(bytes(plain))
                    plain.clear()
                found.append("kill" if byte == _KILL else "suspend")
            else:
                if self._is_escaped and byte != ESCAPE:
                    plain.append(ESCAPE)
                plain.append(byte)
            self._is_escaped = False
        if plain:
            found.append(bytes(plain))
        return found


def size() -> Size:
    """Return how large our terminal is."""
    columns, rows = os.get_terminal_size(_INPUT)
    return Size(rows or 24, columns or 80)


class Console:
    """Our terminal, for as long as a job has it."""

    def __init__(self) -> None:
        self.port = Terminal(_show)
        self.kill = asyncio.Event()
        self._escapes = Escapes()
        self._before = termios.tcgetattr(_INPUT)

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Pass on all that is typed; ours again afterwards."""
        loop = asyncio.get_running_loop()
        tty.setraw(_INPUT)
        loop.add_reader(_INPUT, self._read)
        loop.add_signal_handler(signal.SIGWINCH, self._resize)
        try:
            yield
        finally:
            loop.remove_reader(_INPUT)
            loop.remove_signal_handler(signal.SIGWINCH)
            self._take_back()

    def _take_back(self) -> None:
        termios.tcsetattr(_INPUT, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        typed = os.read(_INPUT, READ_BYTES)
        if not typed:
            self.kill.set()
        for action in self._escapes.feed(typed):
            if isinstance(action, bytes):
                self.port.type(action)
            elif action == "kill":
                self.kill.set()
            else:
                self._suspend()

    def _suspend(self) -> None:
        self._take_back()
        os.kill(os.getpid(), signal.SIGTSTP)
        tty.setraw(_INPUT)
        self._resize()

    def _resize(self) -> None:
        now = size()
        self.port.resize(now.rows, now.columns)


def _show(content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(_OUTPUT, view) :]
