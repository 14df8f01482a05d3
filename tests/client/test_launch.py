"""A test run put together."""

from pathlib import Path

import pytest

from maelstrom.client.launch import CACHE_VARIABLE, TestClient
from maelstrom.client.session import Session
from maelstrom.client.unrun import Unrun


def test_what_a_session_tells_as_it_starts_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(session: Session) -> None:
        assert session.on_note is not None
        session.on_note("the broker is away")

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(Session, "start", start)
    client = TestClient(
        project=str(tmp_path),
        state=tmp_path / "state",
        is_contained=True,
        broker="plain:127.0.0.1:9",
        slots=1,
        ui="simple",
        junit=None,
    )
    client.close(Unrun())
    assert "the broker is away" in capsys.readouterr().out
