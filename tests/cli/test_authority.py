from pathlib import Path

from click.testing import CliRunner

from maelstrom.cli.admin import admin
from maelstrom.trust import build
from maelstrom.trust.holder import Holder


def run(*words: str | Path, given: str | bytes = "", fails: bool = False) -> str:
    result = CliRunner().invoke(admin, ["ca", *map(str, words)], input=given)
    assert (result.exception is not None) == fails, result.output
    return result.output


def test_a_cluster_is_made_with_three_commands(tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    out = tmp_path / "broker"
    assert "pin sha256:" in run("init", "--ca", ca)
    run("issue", "--ca", ca, "broker", "main", "--address", "127.0.0.1", "--out", out)
    run("issue", "--ca", ca, "client", "ann", "--out", tmp_path / "ann")
    assert [line.split()[1] for line in run("list", "--ca", ca).splitlines()] == [
        "broker/main",
        "client/ann",
    ]
    before = Holder(out).certificate()
    run("renew", "--ca", ca, out)
    assert Holder(out).certificate() != before
    assert "of client/ann" in run("revoke", "--ca", ca, "client/ann")
    assert "revoked" in run("list", "--ca", ca).splitlines()[1]


def test_a_key_need_not_travel(tmp_path: Path) -> None:
    ca, there = tmp_path / "ca", tmp_path / "there"
    run("init", "--ca", ca)
    request = run("request", there)
    answer = run("issue", "--ca", ca, "--request", "-", "worker", "alpha", given=request)
    run("install", "--authority", ca / "ca.pem", "--revoked", ca / "crl.pem", there, given=answer)
    old = build.from_pem(Holder(there).certificate())
    assert str(build.identity_of(old)) == "worker/alpha"
    (tmp_path / "old.pem").write_bytes(Holder(there).certificate())
    request = run("request", there)
    answer = run("renew", "--ca", ca, "--request", "-", tmp_path / "old.pem", given=request)
    run("install", "--authority", ca / "ca.pem", there, given=answer)
    assert build.from_pem(Holder(there).certificate()).serial_number != old.serial_number


def test_a_token_is_printed_alone(tmp_path: Path) -> None:
    run("init", "--ca", tmp_path / "ca")
    assert "@sha256:" in run("token", "--ca", tmp_path / "ca", "worker")
    run("token", "--ca", tmp_path / "ca", "admin", fails=True)


def test_an_authority_with_a_passphrase_signs_for_who_has_it(tmp_path: Path) -> None:
    ca, words = tmp_path / "ca", tmp_path / "words"
    words.write_text("correct horse\n")
    words.chmod(0o600)
    source = ("--passphrase-from", f"file:{words}")
    run("init", "--ca", ca, *source)
    out = tmp_path / "ann"
    assert "correct" not in run("issue", "--ca", ca, *source, "client", "ann", "--out", out)
    assert "client/ann" in run("list", "--ca", ca)
    run("renew", "--ca", ca, *source, out)
    words.write_text("wrong\n")
    for command in (("renew", out), ("revoke", "client/ann")):
        run(command[0], "--ca", ca, *source, *command[1:], fails=True)
    words.write_text("correct horse\n")
    run("revoke", "--ca", ca, *source, "client/ann")
    run("passphrase", "--ca", ca, *source, "--remove")
    run("issue", "--ca", ca, "client", "bob", "--out", tmp_path / "bob")
