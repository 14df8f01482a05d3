import base64
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from maelstrom.errors import TrustError, UserError
from maelstrom.trust import build, tokens
from maelstrom.trust.authority import Authority
from maelstrom.trust.holder import Holder
from maelstrom.trust.identity import Identity, Role

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
KEY = build.new_key()
ANN = Identity(Role.CLIENT, "ann")
ALPHA = Identity(Role.WORKER, "alpha")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca", "Ours", now=NOW)


def issue(authority: Authority, identity: Identity = ANN, now: datetime = NOW) -> bytes:
    return authority.issue(build.request(build.new_key(), "x"), identity, now=now)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_their_owners_alone(authority: Authority, tmp_path: Path) -> None:
    holder = Holder(tmp_path / "ann")
    certificate = authority.issue(holder.request("ann"), ANN, now=NOW)
    holder.install(certificate, authority.pem, authority.revocation_list)
    assert mode(authority.directory) == mode(holder.directory) == 0o700
    secret = ["ca.key", "issued.json"]
    assert {mode(authority.directory / name) for name in secret} == {0o600}
    assert mode(holder.identity) == 0o600
    assert sorted(path.name for path in holder.directory.iterdir()) == [
        "ca.pem", "crl.pem", "identity.pem",
    ]  # fmt: skip


def test_a_key_that_others_may_read_is_refused(authority: Authority) -> None:
    (authority.directory / "ca.key").chmod(0o640)
    with pytest.raises(TrustError, match="others than its owner"):
        Authority.open(authority.directory)


def test_an_authority_is_not_made_twice_in_a_place(authority: Authority) -> None:
    with pytest.raises(UserError, match="there is an authority"):
        Authority.create(authority.directory, "Again", now=NOW)
    assert Authority.open(authority.directory).pem == authority.pem


def test_the_authority_decides_who_somebody_is(authority: Authority) -> None:
    asked = build.request(build.new_key(), "admin/eve")
    found = build.from_pem(authority.issue(asked, ANN, now=NOW))
    assert build.identity_of(found) == ANN
    assert found.not_valid_after_utc == NOW + timedelta(days=30)


def test_a_broker_needs_addresses_and_keeps_them_when_renewed(authority: Authority) -> None:
    identity = Identity(Role.BROKER, "main")
    asked = build.request(build.new_key(), "x")
    with pytest.raises(UserError, match="needs the addresses"):
        authority.issue(asked, identity, now=NOW)
    addresses = ("build1.lan", "10.0.0.5", "::1")
    first = authority.issue(asked, identity, addresses=addresses, now=NOW)
    renewed = build.from_pem(authority.renew(asked, first, now=NOW))
    assert build.addresses_of(renewed) == addresses
    assert build.identity_of(renewed) == identity


def test_revoked_is_listed_and_not_renewed(authority: Authority) -> None:
    anns, alphas = issue(authority), issue(authority, ALPHA)
    assert [entry.identity for entry in authority.revoke("client/ann", now=NOW)] == ["client/ann"]
    assert authority.revoke("client/ann", now=NOW) == []
    listed = build.read_revocation_list(authority.revocation_list, authority.certificate)
    assert listed == {build.from_pem(anns).serial_number}
    asked = build.request(build.new_key(), "x")
    with pytest.raises(TrustError, match=r"of client/ann was revoked"):
        authority.renew(asked, anns, now=NOW)
    assert authority.renew(asked, alphas, now=NOW)
    with pytest.raises(UserError, match="nothing was issued to `client/bob`"):
        authority.revoke("client/bob", now=NOW)


def test_what_expired_is_forgotten(authority: Authority) -> None:
    issue(authority)
    authority.revoke("client/ann", now=NOW)
    issue(authority, ALPHA, now=NOW + timedelta(days=40))
    assert [entry.identity for entry in authority.issued()] == ["worker/alpha"]
    assert not build.read_revocation_list(authority.revocation_list, authority.certificate)


def test_what_another_authority_signed_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other", "Other", now=NOW)
    asked = build.request(build.new_key(), "x")
    with pytest.raises(TrustError, match="of another authority than `Ours`"):
        authority.renew(asked, issue(other), now=NOW)
    with pytest.raises(TrustError, match="did not sign"):
        build.read_revocation_list(other.revocation_list, authority.certificate)


def test_a_holder_takes_only_the_answer_to_its_request(
    authority: Authority, tmp_path: Path
) -> None:
    holder = Holder(tmp_path / "alpha")
    first = authority.issue(holder.request("alpha"), ALPHA, now=NOW)
    holder.install(first, authority.pem)
    holder.request("alpha")
    with pytest.raises(TrustError, match="not for the key"):
        holder.install(first, authority.pem)
    assert holder.certificate() == first


@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN CERTIFICATE REQUEST-----\n!"])
def test_garbage_is_no_request(authority: Authority, content: bytes) -> None:
    with pytest.raises(TrustError, match="request that cannot be read"):
        authority.issue(content, ANN, now=NOW)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_request_with_a_wrong_byte_is_never_more_than_refused(at: int, byte: int) -> None:
    der = x509.load_pem_x509_csr(build.request(KEY, "x")).public_bytes(Encoding.DER)
    wrong = bytearray(der)
    wrong[at % len(der)] = byte
    text = base64.encodebytes(wrong).decode()
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"
    try:
        key = build.public_key(pem.encode())
    except TrustError:
        return
    assert key == KEY.public_key()


def test_a_token_is_good_once(authority: Authority) -> None:
    token = tokens.parse(str(tokens.make(authority, Role.WORKER, now=NOW)))
    assert token.pin == build.pin(authority.certificate)
    asked = build.request(build.new_key(), "x")
    with pytest.raises(TrustError, match="cannot be read"):
        tokens.use(authority, token, ALPHA, b"garbage", now=NOW)
    found = build.from_pem(tokens.use(authority, token, ALPHA, asked, now=NOW))
    assert build.identity_of(found) == ALPHA
    with pytest.raises(TrustError, match="unknown, used up or too old"):
        tokens.use(authority, token, ALPHA, asked, now=NOW)
    stored = (authority.directory / "tokens.json").read_text()
    assert token.secret not in stored


@pytest.mark.parametrize(
    ("identity", "minutes", "secret", "reason"),
    [
        (ALPHA, 61, None, "too old"),
        (ALPHA, 0, "A" * 43, "unknown"),
        (ANN, 0, None, "is for worker/al"),
        (Identity(Role.WORKER, "beta"), 0, None, "is for worker/al"),
    ],
)
def test_a_token_is_good_for_nothing_else(
    authority: Authority, identity: Identity, minutes: int, secret: str | None, reason: str
) -> None:
    token = tokens.make(authority, Role.WORKER, name="al*", now=NOW)
    shown = token._replace(secret=secret or token.secret)
    asked = build.request(build.new_key(), "x")
    late = NOW + timedelta(minutes=minutes)
    with pytest.raises(TrustError, match=reason):
        tokens.use(authority, shown, identity, asked, now=late)
    assert tokens.use(authority, token, ALPHA, asked, now=NOW)


@pytest.mark.parametrize("text", ["", "token", "abc.def@sha256:00", "ä" * 120])
def test_what_is_no_token_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UserError) as caught:
        tokens.parse(text)
    assert caught.value.message == "this is not a join token"
