"""Say what went wrong, whose fault it is and what to do next.

    MaelstromError                exit status 3   ours, when nothing below fits
    ├── UserError                 exit status 2   a mistake in an SConstruct, a spec or an option
    │   ├── SpecError                             a job or layer description that cannot be right
    │   └── LayerError                            a layer that cannot be built from its description
    ├── InfrastructureError       exit status 3   ours: never counts as a test failure
    │   ├── ProtocolError                         the other end, or we, broke the wire protocol
    │   ├── ConnectionLost                        the other end cannot be reached (any more)
    │   ├── StoreError                            the content store is damaged, full or locked
    │   └── TrustError                            a certificate, key or token that is not accepted
    └── SandboxUnavailable        exit status 4   this host does not allow rootless containers

A test that fails is not an exception: it is an outcome, and the exit status of SCons is then 2.
Messages are fragments: lower case, no full stop, the thing named; the hint says what to do next.
"""


class MaelstromError(Exception):
    """Something went wrong; `hint` says what the reader can do about it, or is empty."""

    exit_status = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UserError(MaelstromError):
    """A mistake in what the user wrote; he can mend it."""

    exit_status = 2


class SpecError(UserError):
    """A job or layer description that cannot be right."""


class LayerError(UserError):
    """A layer that cannot be built from its description."""


class InfrastructureError(MaelstromError):
    """Our fault or the host's: never counts as a test failure."""


class ProtocolError(InfrastructureError):
    """A message that breaks the wire protocol."""


class ConnectionLost(InfrastructureError):
    """The other end cannot be reached, or not any more; it may be tried again."""


class StoreError(InfrastructureError):
    """The content store is damaged, full or in use by another program."""


class TrustError(InfrastructureError):
    """A certificate, key or token that is not accepted; the message says which and why."""


class SandboxUnavailable(MaelstromError):
    """This host does not allow rootless containers; the hint names the setting and the remedy."""

    exit_status = 4
