"""What systemd hears of us, and what our log lines look like."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from maelstrom.cli import logs
from maelstrom.cli.service import announced, watchdog_s
from maelstrom.log import Log
from maelstrom.model.ids import ClientId, JobId


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
        for log_format in logs.FORMATS:
            logs.start("info", log_format)
            log = Log("test")
            job = JobId(ClientId(3), 17)
            log.info("connection refused", peer="a\nb", reason='x "y"', hint="", job=job)
            assert not log.tells_all
            log.debug("not told")
    finally:
        for name in ("maelstrom", "asyncio"):
            logging.getLogger(name).handlers = []
            logging.getLogger(name).propagate = True
    text, as_json = capfd.readouterr().err.splitlines()
    assert text.endswith(r'info    connection refused peer="a\nb" reason="x \"y\"" job=3.17')
    told = json.loads(as_json)
    assert (told["event"], told["peer"], told["level"]) == ("connection refused", "a\nb", "info")
    assert (told["job"], told["hint"]) == ("3.17", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_real_daemon_tells_of_its_start_and_of_its_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "maelstrom.cli.broker", "--listen", f"unix:{tmp_path}/broker",
             "--store", str(tmp_path / "store"), "--log-format", "json"],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert manager.recv(1000).startswith(b"READY=1\nSTATUS=listens on unix:")
        daemon.send_signal(number)
        assert manager.recv(1000) == b"STOPPING=1\nSTATUS=draining"
        _, told = daemon.communicate(timeout=30)
    assert daemon.returncode == 0
    assert [json.loads(line)["event"] for line in told.splitlines()] == ["begun", "draining"]
