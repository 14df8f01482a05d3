"""A few lines at the bottom of a terminal that are drawn again and again, and what scrolls above.

Rules of this file:
1. Only one thread writes to the terminal. What everybody else in this process and its children
   print meanwhile goes to a pseudo-terminal of ours, and from there above the drawn lines.
2. What is drawn is erased before anything else is written, so that no picture stays behind.
3. Whatever happens, `give_back` and a last empty picture leave the terminal as it was.
"""

import contextlib
import fcntl
import os
import select
import struct
import sys
import termios

from maelstrom.report import text

READ_BYTES = 1 << 16
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_ERASE_BELOW, _ERASE_RIGHT = "\x1b[J", "\x1b[K"


class Size:
    """How many columns and rows a terminal has; asks each time it is `read`."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.columns, self.rows = 80, 24
        self.read()

    def read(self) -> bool:
        """Ask the terminal; returns whether it has changed."""
        try:
            columns, rows = os.get_terminal_size(self._number)
        except OSError:
            return False
        before = (self.columns, self.rows)
        self.columns, self.rows = columns or 80, rows or 24
        return before != (self.columns, self.rows)


class Intercept:
    """Catches what this process and its children print to the terminal."""

    def __init__(self, terminal: int, size: Size) -> None:
        self.master = -1
        self._partial = b""
        self._saved: dict[int, int] = {}
        caught = [number for number in (1, 2) if _is_same(number, terminal)]
        # A host without pseudo-terminals gets a picture that what others print may disturb.
        with contextlib.suppress(OSError):
            self.master, slave = os.openpty()
            self._catch(caught, slave, size)

    def _catch(self, numbers: list[int], slave: int, size: Size) -> None:
        modes = termios.tcgetattr(slave)
        modes[1] &= ~termios.OPOST  # No carriage returns before the line feeds.
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        os.set_blocking(self.master, False)
        self.resize(size)
        _flush()
        for number in numbers:
            self._saved[number] = os.dup(number)
            os.dup2(slave, number)
        os.close(slave)

    def resize(self, size: Size) -> None:
        """Tell the programs that print how wide the terminal is."""
        if self.master >= 0:
            fcntl.ioctl(
                self.master, termios.TIOCSWINSZ, struct.pack("4H", size.rows, size.columns, 0, 0)
            )

    def lines(self) -> list[str]:
        """Return the whole lines printed since the last call."""
        content = self._partial
        while self.master >= 0:
            try:
                read = os.read(self.master, READ_BYTES)
            except BlockingIOError:
                break
            except OSError:  # Nobody holds the other end any more.
                self._close()
                break
            content += read
            if len(content) >= 16 * READ_BYTES:
                break  # The rest waits: an endless writer must not hide the tests.
        *whole, self._partial = content.split(b"\n")
        return [_seen(line) for line in whole]

    def partial(self) -> str:
        """Return the line that has been begun but not ended."""
        return _seen(self._partial)

    def rest(self) -> list[str]:
        """Return the line that nobody will end, if there is one, and forget it."""
        begun, self._partial = self._partial, b""
        return [_seen(begun)] if begun else []

    def give_back(self) -> None:
        """Let everybody in this process print to the terminal again."""
        if self._saved:
            _flush()
        for number, saved in self._saved.items():
            os.dup2(saved, number)
            os.close(saved)
        self._saved.clear()

    def _close(self) -> None:
        os.close(self.master)
        self.master = -1


class Screen:
    """Draws on the terminal; all but `wake` and `give_back` are for one thread."""

    def __init__(self, terminal: int) -> None:
        self._terminal = os.dup(terminal)
        self.size = Size(self._terminal)
        self._intercept = Intercept(terminal, self.size)
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._widths: list[int] = []
        self._is_hidden = False

    def wait(self, seconds: float) -> None:
        """Wait until something was printed, somebody called `wake`, or the time is up."""
        master = self._intercept.master
        numbers = [self._woken] if master < 0 else [self._woken, master]
        ready, _, _ = select.select(numbers, [], [], seconds)
        if self._woken in ready:
            os.read(self._woken, READ_BYTES)

    def wake(self) -> None:
        """End a `wait` early."""
        with contextlib.suppress(BlockingIOError):  # Then it is woken already.
            os.write(self._waker, b"\0")

    @property
    def is_used_by_others(self) -> bool:
        """Whether a child of ours might still print to what catches it."""
        return self._intercept.master >= 0

    def printed(self) -> list[str]:
        """Return the lines that others printed since the last call."""
        if self.size.read():
            self._intercept.resize(self.size)
        return self._intercept.lines()

    def partial(self) -> str:
        """Return the line that somebody has begun to print."""
        return self._intercept.partial()

    def rest(self) -> list[str]:
        """Return the line that nobody will end, if there is one, and forget it."""
        return self._intercept.rest()

    def paint(self, above: list[str], picture: list[str], widths: list[int]) -> None:
        """Let lines scroll by above the picture, and draw it; `widths` are those of its lines."""
        told = self._to_top()
        if above:
            told += _ERASE_BELOW + "".join(line + "\r\n" for line in above)
        if picture and not self._is_hidden:
            told, self._is_hidden = _HIDE + told, True
        told += "\r\n".join(line + _ERASE_RIGHT for line in picture) + _ERASE_BELOW
        if not picture and self._is_hidden:
            told, self._is_hidden = told + _SHOW, False
        self._widths = widths
        self._write(told)

    def give_back(self) -> None:
        """Let everybody in this process print to the terminal again."""
        self._intercept.give_back()

    def _to_top(self) -> str:
        # A terminal that was made narrower has broken the drawn lines into several rows.
        columns = self.size.columns
        rows = sum(max(1, -(-width // columns)) for width in self._widths)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "")

    def _write(self, told: str) -> None:
        left = told.encode("utf-8", "backslashreplace")
        try:
            while left:
                left = left[os.write(self._terminal, left) :]
        except OSError:
            pass  # A terminal that is gone is no reason to end the tests.


def _seen(line: bytes) -> str:
    # Of a line that was written over with carriage returns, the last state is what one saw.
    told = line.rstrip(b"\r").rpartition(b"\r")[2]
    return text.built(told.decode(errors="replace"))


def _is_same(number: int, terminal: int) -> bool:
    try:
        status, wanted = os.fstat(number), os.fstat(terminal)
        return os.isatty(number) and status.st_rdev == wanted.st_rdev
    except OSError:
        return False


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # It may be closed, or none at all.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
