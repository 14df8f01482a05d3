"""Identities of the things that come and go."""

from typing import NewType

import msgspec

ClientId = NewType("ClientId", int)
WorkerId = NewType("WorkerId", int)


class JobId(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One job of one client; printed as `client.number`."""

    client: ClientId
    number: int

    def __str__(self) -> str:
        return f"{self.client}.{self.number}"
