"""Run a program for the lab; what it said is in the error."""

import subprocess
from pathlib import Path


def run(
    *command: str | Path, check: bool = True, stdin: str = "", timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, capture_output=True, text=True, input=stdin, timeout=timeout_s, check=False
    )
    if check and done.returncode:
        said = (done.stdout[-2000:] + done.stderr[-2000:]).strip()
        raise RuntimeError(f"{words} ended with status {done.returncode}: {said}")
    return done
