"""Passphrases of authorities: where they come from, and what cannot be done without."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maelstrom.errors import MaelstromError, TrustError, UserError
from maelstrom.trust import build
from maelstrom.trust.authority import Authority
from maelstrom.trust.identity import Identity, Role
from maelstrom.trust.passphrase import BYTES_MAX, Passphrase

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
ANN = Identity(Role.CLIENT, "ann")
ENVIRONMENT = {"WORDS": "correct horse", "NONE": ""}


def _source(text: str, *answers: str) -> Passphrase:
    left = list(answers)
    return Passphrase(text, "it", environment=ENVIRONMENT, ask=lambda _prompt: left.pop(0))


def _file(place: Path, mode: int = 0o600) -> str:
    path = place / "words"
    path.write_text("correct horse\n")
    path.chmod(mode)
    return f"file:{path}"


GOOD: dict[str, Callable[[Path], Passphrase]] = {
    "the terminal": lambda _: _source("ask", "correct horse"),
    "a file": lambda place: _source(_file(place)),
    "a variable": lambda _: _source("env:WORDS"),
    "a program": lambda _: _source("command:echo 'correct horse'"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_passphrase_comes_from(name: str, tmp_path: Path) -> None:
    assert GOOD[name](tmp_path).get() == b"correct horse"


BAD: dict[str, tuple[Callable[[Path], Passphrase], str]] = {
    "the words themselves": (lambda _: _source("correct horse"), "not said where"),
    "a kind without a name": (lambda _: _source("file:"), "not said where"),
    "a file that others may read": (
        lambda place: _source(_file(place, 0o644)), "others than its owner may read",
    ),
    "a file that is not there": (lambda place: _source(f"file:{place}/x"), "cannot read"),
    "a variable that is not there": (lambda _: _source("env:OTHER"), "has no `OTHER`"),
    "a variable of nothing": (lambda _: _source("env:NONE"), "is empty"),
    "a program that is not there": (lambda _: _source("command:no-such-program"), "cannot run"),
    "a program that fails": (lambda _: _source("command:false"), "ended with status 1"),
    "a program that gives too much": (
        lambda _: _source(f"command:printf %{BYTES_MAX + 1}s x"), "may have 1023",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_passphrase_does_not_come_from(name: str, tmp_path: Path) -> None:
    make, message = BAD[name]
    with pytest.raises(MaelstromError, match=message) as raised:
        make(tmp_path).get()
    assert "correct" not in f"{raised.value} {raised.value.hint}"


def test_a_new_one_is_asked_for_twice() -> None:
    assert _source("ask", "a", "a").get(is_new=True) == b"a"
    with pytest.raises(UserError, match="two different"):
        _source("ask", "a", "b").get(is_new=True)


def test_where_nobody_is_to_be_asked_it_is_told_what_to_do() -> None:
    def nobody(_prompt: str) -> str:
        raise EOFError

    with pytest.raises(TrustError, match="nobody is there") as raised:
        Passphrase("ask", "it", ask=nobody).get()
    assert "MAELSTROM_CA_PASSPHRASE_FROM" in raised.value.hint


def _locked(place: Path) -> Authority:
    """Return an authority with a passphrase, opened with nothing asked yet."""
    Authority.create(place / "ca", "Ours", now=NOW, passphrase=_source("ask", "a", "a"))
    return Authority.open(place / "ca", _source("ask", "a"))


def test_the_key_on_disk_is_encrypted_and_opens_with_the_passphrase_only(tmp_path: Path) -> None:
    authority = _locked(tmp_path)
    content = (tmp_path / "ca/ca.key").read_bytes()
    assert content.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert (tmp_path / "ca/ca.key").stat().st_mode & 0o777 == 0o600
    key = build.key_from_pem(content, b"a")
    assert key.public_key() == authority.certificate.public_key()
    for wrong in (None, b"b"):
        with pytest.raises(TrustError):
            build.key_from_pem(content, wrong)


def test_it_is_asked_for_once_and_only_when_something_is_signed(tmp_path: Path) -> None:
    authority = _locked(tmp_path)
    assert authority.issued() == []
    assert authority.revocation_list
    assert authority.is_locked
    for _ in range(2):
        authority.issue(build.request(build.new_key(), "x"), ANN, now=NOW)
    authority.revoke("client/ann", now=NOW)
    assert not authority.is_locked


def test_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    _locked(tmp_path)
    authority = Authority.open(tmp_path / "ca", _source("ask", "b"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "ca").iterdir()}
    with pytest.raises(TrustError, match=r"ca\.key: a key that this passphrase does not open"):
        authority.issue(build.request(build.new_key(), "x"), ANN, now=NOW)
    assert {path.name: path.read_bytes() for path in (tmp_path / "ca").iterdir()} == before


def test_without_a_source_it_is_told_how_to_name_one(tmp_path: Path) -> None:
    _locked(tmp_path)
    with pytest.raises(TrustError, match="has a passphrase") as raised:
        Authority.open(tmp_path / "ca").unlock()
    assert "MAELSTROM_CA_PASSPHRASE_FROM can be ask, file:PATH" in raised.value.hint


def test_it_can_be_given_changed_and_taken_away(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca", "Ours", now=NOW)
    assert not made.has_passphrase
    made.change_passphrase(_source("ask", "a", "a"))
    second = Authority.open(tmp_path / "ca", _source("ask", "a"))
    second.change_passphrase(_source("ask", "b", "b"))
    third = Authority.open(tmp_path / "ca", _source("ask", "b"))
    assert third.has_passphrase
    third.change_passphrase(None)
    assert Authority.open(tmp_path / "ca").unlock().public_key() == made.certificate.public_key()
