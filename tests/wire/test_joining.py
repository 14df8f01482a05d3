import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maelstrom.errors import TrustError
from maelstrom.trust import tokens
from maelstrom.trust.authority import clock
from maelstrom.trust.identity import Role as TrustRole
from maelstrom.trust.tls import Tls
from maelstrom.wire import messages
from maelstrom.wire.greeting import Role
from maelstrom.wire.joining import enrol, renew
from tests.support.secured import Secured, Trust


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    secured = Secured(Trust(tmp_path), tmp_path)
    yield secured
    await secured.close()


def token(secured: Secured) -> str:
    return str(tokens.make(secured.trust.authority, TrustRole.WORKER, now=clock()))


async def test_a_newcomer_joins_by_its_token_once(secured: Secured, tmp_path: Path) -> None:
    made = token(secured)
    await asyncio.to_thread(enrol, secured.address, tmp_path / "new", made, "beta")
    tls = Tls(tmp_path / "new", [TrustRole.WORKER])
    visitor = await secured.knock(tls, Role.WORKER)
    assert isinstance(visitor.heard[0], messages.Welcome)
    # With a certificate it needs no token; without one a token that was used does not help.
    await asyncio.to_thread(enrol, secured.address, tmp_path / "new", made, "beta")
    with pytest.raises(TrustError, match="unknown, used up or too old"):
        await asyncio.to_thread(enrol, secured.address, tmp_path / "newer", made, "gamma")


async def test_a_token_is_not_shown_to_a_broker_of_another_authority(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = Trust(tmp_path / "theirs")
    made = str(tokens.make(theirs.authority, TrustRole.WORKER, now=clock()))
    monkeypatch.setattr(messages, "Enrol", None)
    with pytest.raises(TrustError, match="belongs to another authority than the join token"):
        await asyncio.to_thread(enrol, secured.address, tmp_path / "new", made, "beta")
    assert not (tmp_path / "new" / "identity.pem").exists()


async def test_a_certificate_is_renewed_by_itself(secured: Secured) -> None:
    tls = secured.trust.tls("worker/alpha")
    before = tls.certificate
    await asyncio.to_thread(renew, secured.address, tls)
    assert tls.certificate.identity == before.identity
    assert tls.certificate.serial != before.serial
    visitor = await secured.knock(tls, Role.WORKER)
    assert isinstance(visitor.heard[0], messages.Welcome)


async def test_who_was_revoked_gets_no_other(secured: Secured) -> None:
    tls = secured.trust.tls("worker/alpha")
    secured.trust.authority.revoke("worker/alpha", now=clock())
    secured.tls.refresh()
    with pytest.raises(TrustError, match="of worker/alpha was revoked"):
        await asyncio.to_thread(renew, secured.address, tls)


async def test_a_broker_without_the_authority_says_so(secured: Secured) -> None:
    secured.access.authority = None
    with pytest.raises(TrustError, match="issues no certificates"):
        await asyncio.to_thread(renew, secured.address, secured.trust.tls("worker/alpha"))
