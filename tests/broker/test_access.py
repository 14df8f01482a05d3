"""Over real TLS: who gets in as what, and what those hear who do not."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from maelstrom.errors import MaelstromError, TrustError
from maelstrom.trust.tls import Tls
from maelstrom.wire import messages
from maelstrom.wire.dial import dial
from maelstrom.wire.greeting import Role
from tests.support.secured import NOW, Secured, Trust, Visitor


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path)


@pytest.fixture
async def secured(trust: Trust, tmp_path: Path) -> AsyncIterator[Secured]:
    secured = Secured(trust, tmp_path)
    yield secured
    await secured.close()


@pytest.mark.parametrize(
    ("who", "role"),
    [("client/ann", Role.CLIENT), ("worker/alpha", Role.WORKER)],
)
async def test_a_certificate_lets_in_as_what_it_says(
    secured: Secured, who: str, role: Role
) -> None:
    visitor = await secured.knock(secured.trust.tls(who), role)
    assert isinstance(visitor.heard[0], messages.Welcome)
    assert visitor.connection.certificate is not None
    assert str(visitor.connection.certificate.identity) == "broker/main"
    assert not visitor.heard[0].is_local
    visitor.connection.close()


@pytest.mark.parametrize(
    ("who", "role"),
    [
        ("client/ann", Role.WORKER),
        ("worker/alpha", Role.CLIENT),
        ("monitor/board", Role.CLIENT),
        ("monitor/board", Role.BLOBS),
        ("admin/eve", Role.WORKER),
    ],
)
async def test_a_role_is_good_for_nothing_else(
    secured: Secured, who: str, role: Role, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = await secured.knock(secured.trust.tls(who), role)
    assert visitor.error is not None
    assert f"of {who} has the wrong role" in visitor.error.message
    assert f"of {who} has the wrong role" in caplog.records[-1].fields["reason"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("begun", "reason"),
    [(timedelta(days=9), "of client/ann expired at"), (timedelta(hours=-1), "is not valid before")],
)
async def test_a_certificate_out_of_its_time_is_refused_and_both_hear_why(
    secured: Secured, begun: timedelta, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    # To its holder all is well: his clock is wrong.
    tls = secured.trust.tls("client/ann", begun=begun, clock_s=-begun.total_seconds())
    bad = Tls.judge
    tls.judge = lambda found, roles: bad(secured.tls, found, roles)  # type: ignore[method-assign]
    visitor = await secured.knock(tls, Role.CLIENT)
    assert visitor.error is not None
    assert reason in visitor.error.message
    assert reason in caplog.records[-1].fields["reason"]  # type: ignore[attr-defined]


def test_our_own_certificate_is_looked_at_before_we_go(trust: Trust) -> None:
    with pytest.raises(TrustError, match="of client/ann expired at"):
        trust.tls("client/ann", begun=timedelta(days=9))


async def test_a_brokers_certificate_is_checked_too(trust: Trust, tmp_path: Path) -> None:
    secured = Secured(trust, tmp_path, who="worker/alpha")
    visitor = await _attempt(secured, trust.tls("client/ann"))
    # A worker's certificate is for no address and no server.
    assert "has a certificate" in visitor.message
    await secured.close()


async def test_a_brokers_certificate_is_good_for_its_addresses_alone(secured: Secured) -> None:
    secured.trust.addresses = ("build1.lan",)
    secured.trust.issue("broker/main")
    secured.tls.refresh()
    error = await _attempt(secured, secured.trust.tls("client/ann"))
    assert "has a certificate for other addresses" in error.message
    assert "127.0.0.1" in error.message


async def test_a_broker_is_no_client(secured: Secured) -> None:
    visitor = await secured.knock(secured.trust.tls("broker/other"), Role.CLIENT)
    assert visitor.error is not None
    assert visitor.error.hint == "it may not accept our certificate; its log says why"


async def _attempt(secured: Secured, tls: Tls) -> MaelstromError:
    with pytest.raises(MaelstromError) as caught:
        await secured.knock(tls, Role.CLIENT)
    return caught.value


async def test_another_authority_is_named_on_both_ends(
    secured: Secured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "others").mkdir()
    stranger = Trust(tmp_path / "others").tls("client/ann")
    error = await _attempt(secured, stranger)
    assert "has a certificate of another authority than ours" in error.message
    # One that believes our broker, with a certificate that our broker does not believe.
    stranger.connecting.load_verify_locations(cadata=secured.tls.authority.decode())
    stranger.judge = secured.tls.judge  # type: ignore[method-assign]
    visitor = await secured.knock(stranger, Role.CLIENT)
    assert visitor.error is not None
    refusals = [r.fields["reason"] for r in caplog.records if r.msg == "connection refused"]  # type: ignore[attr-defined]
    assert any("has a certificate of another authority than ours" in told for told in refusals)


async def test_revoked_is_refused_and_an_open_connection_ends(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maelstrom.broker.access.REFRESH_S", 0.01)
    secured.broker.watch_access()
    ann, bob = secured.trust.tls("client/ann"), secured.trust.tls("client/bob")
    anns, bobs = [await secured.knock(tls, Role.CLIENT) for tls in (ann, bob)]
    secured.trust.authority.revoke("client/ann", now=NOW)
    await asyncio.wait_for(anns.ended.wait(), 30)
    again = await secured.knock(ann, Role.CLIENT)
    assert again.error is not None
    assert "of client/ann was revoked" in again.error.message
    assert not bobs.ended.is_set()


async def test_a_renewed_certificate_is_taken_up_without_a_restart(secured: Secured) -> None:
    ann = secured.trust.tls("client/ann")
    before = await secured.knock(ann, Role.CLIENT)
    secured.trust.issue("broker/main")
    assert secured.tls.refresh()
    assert not secured.tls.refresh()
    after = await secured.knock(ann, Role.CLIENT)
    assert before.connection.certificate != after.connection.certificate
    assert not before.ended.is_set()


async def test_a_broker_renews_its_certificate_or_says_that_it_must_be(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "maelstrom")
    monkeypatch.setattr("maelstrom.broker.access.REFRESH_S", 0.01)
    secured.trust.issue("broker/main", begun=timedelta(days=5))
    secured.tls.refresh()
    authority, secured.access.authority = secured.access.authority, None
    old = secured.tls.certificate
    secured.broker.watch_access()
    while not any(record.msg == "certificate not renewed" for record in caplog.records):
        await asyncio.sleep(0.01)
    secured.access.authority = authority
    while secured.tls.certificate == old:
        await asyncio.sleep(0.01)
    assert secured.tls.certificate.identity == old.identity
    visitor = await secured.knock(secured.trust.tls("client/ann"), Role.CLIENT)
    assert isinstance(visitor.heard[0], messages.Welcome)
    told = [record.msg for record in caplog.records]
    assert told.count("certificate not renewed") == 1


async def test_files_that_do_not_fit_are_not_taken_up(secured: Secured) -> None:
    place = secured.tls.directory / "identity.pem"
    good = place.read_bytes()
    place.write_bytes(b"garbage")
    with pytest.raises(TrustError):
        secured.tls.refresh()
    visitor = await secured.knock(secured.trust.tls("client/ann"), Role.CLIENT)
    assert isinstance(visitor.heard[0], messages.Welcome)
    place.write_bytes(good)
    assert secured.tls.refresh()


async def test_a_token_of_a_session_is_good_for_its_holder_alone(secured: Secured) -> None:
    ann, bob = secured.trust.tls("client/ann"), secured.trust.tls("client/bob")
    anns = await secured.knock(ann, Role.CLIENT)
    token = anns.heard[0].token
    for tls, is_let_in in ((bob, False), (ann, True)):
        visitor = connections_of(token, tls, secured)
        assert (await visitor) == is_let_in


async def connections_of(token: str, tls: Tls, secured: Secured) -> bool:
    visitor = Visitor(Role.BLOBS, [], token)
    await (await dial(secured.address, tls)).attach(visitor.connection)
    done = asyncio.create_task(visitor.ended.wait())
    await asyncio.wait([done], timeout=0.3)
    is_open = not visitor.ended.is_set()
    done.cancel()
    visitor.connection.close()
    return is_open


async def test_whoever_speaks_no_tls_is_turned_away(
    secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", secured.address.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n")
    await reader.read()
    writer.close()
    await asyncio.sleep(0)
    assert "does not speak TLS" in caplog.records[-1].fields["reason"]  # type: ignore[attr-defined]
    visitor = await secured.knock(secured.trust.tls("client/ann"), Role.CLIENT)
    assert isinstance(visitor.heard[0], messages.Welcome)


async def test_without_a_certificate_one_can_only_ask_for_one(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maelstrom.wire.connection.LINGER_S", 0.05)
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(cadata=secured.tls.authority.decode())
    loop = asyncio.get_running_loop()
    for role in (Role.CLIENT, Role.WORKER, Role.BLOBS):
        visitor = Visitor(role, [])
        await loop.create_connection(
            lambda v=visitor: v.connection, "127.0.0.1", secured.address.port, ssl=bare
        )
        await asyncio.wait_for(visitor.ended.wait(), 30)
        assert not visitor.heard
