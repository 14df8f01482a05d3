"""Tell systemd how a daemon fares: ready, stopping, alive. Without systemd nothing happens."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator

DIGITS_MAX = 18


def notify(*lines: str) -> None:
    """Send lines like `READY=1` to whoever started us and wants to know."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + address[1:] if address[0] == "@" else address)
        sock.sendall("\n".join(lines).encode())


def watchdog_s() -> float:
    """Return how often a sign of life is due; 0 for never."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    given = os.environ.get("WATCHDOG_USEC", "")
    # One of more digits would be due after our time.
    return int(given) / 2e6 if given.isdecimal() and len(given) <= DIGITS_MAX else 0.0


@contextlib.asynccontextmanager
async def announced(status: str) -> AsyncIterator[None]:
    """Be ready, and give signs of life from the loop itself, until this ends."""
    notify("READY=1", f"STATUS={status}")
    beat = asyncio.create_task(_beat(watchdog_s()))
    try:
        yield
    finally:
        notify("STOPPING=1")
        beat.cancel()
        await asyncio.gather(beat, return_exceptions=True)


async def _beat(period_s: float) -> None:
    while period_s:
        notify("WATCHDOG=1")
        await asyncio.sleep(period_s)
