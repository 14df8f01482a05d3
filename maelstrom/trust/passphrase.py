"""Where the passphrase of an authority's key comes from: named, and never on a command line.

A source is one of

    ask               the terminal
    file:PATH         a file that only its owner may read
    env:NAME          an environment variable
    command:WORDS     what a program prints, such as a password manager
"""

import getpass
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from maelstrom.errors import TrustError, UserError
from maelstrom.trust import files

VARIABLE = "MAELSTROM_CA_PASSPHRASE_FROM"
FORMS = "ask, file:PATH, env:NAME or command:WORDS"
COMMAND_S_MAX = 120.0
BYTES_MAX = 1023
"""What the library takes."""


def ask_terminal(prompt: str) -> str:
    """Ask a person, who does not see what he writes; raises OSError where no terminal is."""
    # Without, the library would read standard input, and show it.
    with Path("/dev/tty").open():
        return getpass.getpass(prompt)


class Passphrase:
    """A passphrase that is fetched when it is first needed; `what` it opens is told when asked."""

    def __init__(
        self,
        source: str,
        what: str,
        *,
        environment: Mapping[str, str] = os.environ,
        ask: Callable[[str], str] = ask_terminal,
    ) -> None:
        self.source = source
        self._what = what
        self._environment = environment
        self._ask = ask
        self._kind, _, self._argument = source.partition(":")
        if not is_source(source):
            # It may be the passphrase itself, so it is not repeated.
            raise UserError(
                f"it is not said where the passphrase of {what} is", hint=f"write {FORMS}"
            )

    def get(self, *, is_new: bool = False) -> bytes:
        """Return it; a new one is asked for twice."""
        found = self._fetch(is_new=is_new)
        if not found:
            raise UserError(f"the passphrase of {self._what} is empty")
        if len(found) > BYTES_MAX:
            raise UserError(
                f"the passphrase of {self._what} has {len(found)} bytes, and may have {BYTES_MAX}"
            )
        return found

    def _fetch(self, *, is_new: bool) -> bytes:
        match self._kind:
            case "file":
                path = Path(self._argument).expanduser()
                return files.read_secret(path, what="the passphrase").rstrip(b"\r\n")
            case "env":
                return self._from_environment()
            case "command":
                return self._from_command()
            case _:
                return self._from_terminal(is_new=is_new)

    def _from_environment(self) -> bytes:
        value = self._environment.get(self._argument)
        if value is None:
            raise UserError(
                f"the environment has no `{self._argument}`",
                hint=f"it should be the passphrase of {self._what}",
            )
        return os.fsencode(value)

    def _from_command(self) -> bytes:
        words = shlex.split(self._argument)
        try:
            done = subprocess.run(words, stdout=subprocess.PIPE, timeout=COMMAND_S_MAX, check=False)
        except OSError as error:
            raise UserError(
                f"cannot run `{words[0]}` for a passphrase: {error.strerror}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise UserError(f"`{words[0]}` gave no passphrase in {COMMAND_S_MAX:g} s") from error
        if done.returncode:
            raise UserError(
                f"`{words[0]}` gave no passphrase: it ended with status {done.returncode}"
            )
        return done.stdout.rstrip(b"\r\n")

    def _from_terminal(self, *, is_new: bool) -> bytes:
        try:
            first = self._ask(f"{'new ' * is_new}passphrase of {self._what}: ")
            if is_new and self._ask("the same again: ") != first:
                raise UserError("these are two different passphrases", hint="nothing was changed")
        except (EOFError, OSError) as error:
            raise TrustError(
                f"nobody is there to say the passphrase of {self._what}",
                hint=f"say where it is: {VARIABLE} can be {FORMS}",
            ) from error
        return first.encode()


def is_source(text: str) -> bool:
    """Whether a text names a source."""
    kind, colon, argument = text.partition(":")
    return text == "ask" or (
        kind in ("file", "env", "command") and bool(colon and argument.strip())
    )
