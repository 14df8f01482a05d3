"""What systemd hears of us, and what our log lines look like."""

import asyncio
import json
import logging
import socket
from pathlib import Path

import pytest

from maelstrom.cli import logs
from maelstrom.cli.service import announced, watchdog_s


async def test_systemd_hears_of_start_life_and_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        async with announced("listens"):
            assert manager.recv(100) == b"READY=1\nSTATUS=listens"
            for _ in range(2):
                assert await asyncio.to_thread(manager.recv, 100) == b"WATCHDOG=1"
        told = manager.recv(100)
        while told == b"WATCHDOG=1":
            told = manager.recv(100)
        assert told == b"STOPPING=1"


def test_another_process_watchdog_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_s() == 0
    monkeypatch.delenv("WATCHDOG_PID")
    assert watchdog_s() == 0.5


def test_one_event_is_one_line_whatever_it_tells(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        for form in logs.FORMS:
            logs.start("info", form)
            fields = {"peer": "a\nb", "reason": 'x "y"', "hint": ""}
            log = logging.getLogger("maelstrom.test")
            log.info("connection refused", extra={"fields": fields})
            log.debug("not told")
    finally:
        logging.getLogger("maelstrom").handlers = []
        logging.getLogger("maelstrom").propagate = True
    text, as_json = capfd.readouterr().err.splitlines()
    assert text.endswith(r'info    connection refused peer="a\nb" reason="x \"y\""')
    told = json.loads(as_json)
    assert (told["event"], told["peer"], told["level"]) == ("connection refused", "a\nb", "info")
