"""Find out what this host lets us do, and name the setting and the remedy where it does not."""

from maelstrom.errors import SandboxUnavailable
import os


def explain_unavailable(doing: str, number: int) -> SandboxUnavailable:
    return SandboxUnavailable(f"cannot {doing}: {os.strerror(number)}")
