"""The operator's authority, and his own certificate for running tests."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from maelstrom.errors import UserError
from maelstrom.trust import build
from maelstrom.trust.authority import clock
from maelstrom.trust.holder import Holder
from maelstrom.trust.identity import Identity, Role
from provision import signer
from provision.signer import Signer


def _serial(place: Path) -> int:
    return build.from_pem(Holder(place).certificate()).serial_number


def test_an_authority_is_made_once_and_its_key_is_for_its_owner_only(tmp_path: Path) -> None:
    first = Signer(tmp_path / "ca", "ours").pems()[0]
    assert Signer(tmp_path / "ca", "another name").pems()[0] == first
    assert stat.S_IMODE((tmp_path / "ca/ca.key").stat().st_mode) == 0o600


def test_the_operators_certificate_is_made_once(tmp_path: Path) -> None:
    ours = Signer(tmp_path / "ca", "ours")
    place = ours.client(tmp_path / "client", "ann")
    before = _serial(place)
    found = build.from_pem(Holder(place).certificate())
    assert build.identity_of(found) == Identity(Role.CLIENT, "ann")
    ours.client(place, "ann")
    assert _serial(place) == before


@pytest.mark.parametrize(
    ("user", "name"), [("DOMAIN\\ann", "DOMAIN-ann"), ("é", "operator"), ("a b", "a-b")]
)
def test_any_name_of_a_user_makes_an_identity(user: str, name: str, tmp_path: Path) -> None:
    place = Signer(tmp_path / "ca", "ours").client(tmp_path / "client", user)
    assert build.identity_of(build.from_pem(Holder(place).certificate())).name == name


def test_the_operators_certificate_is_renewed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Signer(tmp_path / "ca", "ours")
    place = ours.client(tmp_path / "client", "ann")
    before = _serial(place)
    monkeypatch.setattr(signer, "clock", lambda: clock() + timedelta(days=21))
    ours.client(place, "ann")
    assert _serial(place) != before


def test_a_revoked_certificate_of_the_operator_is_replaced(tmp_path: Path) -> None:
    ours = Signer(tmp_path / "ca", "ours")
    place = ours.client(tmp_path / "client", "ann")
    before = _serial(place)
    assert ours.revoke(Identity(Role.CLIENT, "ann")) == 1
    ours.client(place, "ann")
    assert _serial(place) != before


def test_the_operator_hears_of_what_is_revoked(tmp_path: Path) -> None:
    ours = Signer(tmp_path / "ca", "ours")
    place = ours.client(tmp_path / "client", "ann")
    ours.client(tmp_path / "other", "bob")
    ours.revoke(Identity(Role.CLIENT, "bob"))
    before = _serial(place)
    ours.client(place, "ann")
    assert _serial(place) == before
    assert Holder(place).revoked.read_text() == ours.pems()[1]


def test_to_revoke_what_was_never_issued_is_nothing(tmp_path: Path) -> None:
    assert Signer(tmp_path / "ca", "ours").revoke(Identity(Role.WORKER, "w9")) == 0


def test_the_key_has_a_passphrase_where_the_inventory_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORDS", "correct horse")
    ours = Signer(tmp_path / "ca", "ours", "env:WORDS")
    ours.pems()
    assert b"ENCRYPTED" in (tmp_path / "ca/ca.key").read_bytes()
    monkeypatch.delenv("WORDS")
    # A plan signs nothing, so nobody is asked.
    later = Signer(tmp_path / "ca", "ours", "env:WORDS")
    assert later.trust().authority.serial_number
    with pytest.raises(UserError, match="has no `WORDS`"):
        later.unlock()
    monkeypatch.setenv("WORDS", "correct horse")
    later.client(tmp_path / "client", "ann")


def test_a_key_without_the_passphrase_that_the_inventory_wants_is_told(tmp_path: Path) -> None:
    Signer(tmp_path / "ca", "ours").pems()
    with pytest.raises(UserError, match="has no passphrase, and the inventory wants one") as raised:
        Signer(tmp_path / "ca", "ours", "ask").pems()
    assert raised.value.hint.endswith(f"maelstrom-admin ca passphrase --ca {tmp_path / 'ca'}`")
