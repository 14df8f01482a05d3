"""`maelstrom-run` with real containers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maelstrom.sandbox.check import check
from tests.support.cluster import ROOT, WAIT_S


@pytest.fixture
def _sandbox() -> None:
    findings = [found for found in check() if found.is_needed and not found.is_ok]
    if findings and not os.environ.get("MAELSTROM_MUST_SANDBOX"):
        pytest.skip(findings[0].message)


def run(tmp_path: Path, *words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "maelstrom.cli.run", *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MAELSTROM_CACHE_DIR": str(tmp_path)},
        input=given,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.mark.usefixtures("_sandbox")
def test_a_program_of_this_host_runs_and_its_end_is_ours(tmp_path: Path) -> None:
    ended = run(tmp_path, "--", "sh", "-c", "echo out; echo err >&2; ls /home; exit 7")
    assert (ended.returncode, ended.stdout) == (7, "out\n")
    assert ended.stderr.startswith("err\n")


@pytest.mark.usefixtures("_sandbox")
def test_each_job_of_a_stream_is_told_and_the_first_bad_end_decides(tmp_path: Path) -> None:
    jobs = [
        {"program": "sh", "arguments": ["-c", "echo $A"], "environment": {"A": "b"}},
        {"program": "sh", "arguments": ["-c", "kill -TERM $$"]},
        {"program": "sleep", "arguments": ["60"], "timeout_s": 0.1},
    ]
    ended = run(tmp_path, "--json", "--slots", "1", given="\n".join(map(json.dumps, jobs)))
    told = {each["job"]: each for each in map(json.loads, ended.stdout.splitlines())}
    assert (told[1]["status"], told[1]["stdout"], told[1]["outcome"]) == (0, "b\n", "exited with 0")
    assert (told[2]["status"], told[2]["outcome"]) == (143, "ended by signal 15")
    assert (told[3]["status"], told[3]["outcome"]) == (124, "took too long")
    assert ended.returncode in (143, 124)


@pytest.mark.usefixtures("_sandbox")
def test_what_a_job_brings_back_is_written_below_its_number(tmp_path: Path) -> None:
    job = {
        "program": "sh",
        "arguments": ["-c", "echo log > /tmp/log; echo $(id -u):$(cat /proc/uptime | cut -c1)"],
        "layers": [{"type": "programs", "programs": ["sh", "id", "cat", "cut"]}],
        "outputs": ["/tmp/log"],
        "devices": [],
        "user": 0,
        "group": 0,
        "has_powers": True,
        "uptime_s": 0,
    }
    out = tmp_path / "out"
    ended = run(tmp_path, "--outputs", str(out), given=json.dumps(job))
    assert ended.stdout.startswith("0:"), ended
    assert (out / "1/tmp/log").read_text() == "log\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-f", "none.toml"), "cannot read none.toml"),
        (("--", "no-such-program"), "no-such-program"),
        (("-f", "x.json", "--", "true"), "either a command or --file"),
    ],
)
def test_what_cannot_be_run_is_said_without_a_traceback(
    tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    ended = run(tmp_path, *words)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("_sandbox")
def test_a_job_gets_what_this_machine_is_said_to_have(tmp_path: Path) -> None:
    job = {"program": "true", "resources": {"gpu": 2}, "labels": ["fast"]}
    refused = run(tmp_path, given=json.dumps(job))
    assert refused.returncode == 125
    assert "needs a slot, 2 of `gpu`, the label `fast`" in refused.stderr
    ended = run(tmp_path, "--resources", "gpu=2", "--labels", "fast", given=json.dumps(job))
    assert (ended.returncode, ended.stderr) == (0, "")
