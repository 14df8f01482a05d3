"""The page, JSON, metrics and health, over real HTTP."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from maelstrom.broker.status import ClientState, Sample, State, WorkerState
from maelstrom.web import looks
from maelstrom.web.server import Site

EVIL = "<script>alert(1)</script>"
STATE = State(
    build="1.2",
    name="main",
    up_s=93784.0,
    gathering=2,
    queued=1234,
    running=3,
    ended=99,
    faults=1,
    per_s=4.5,
    slots=8,
    store_limit_bytes=10 << 30,
    workers=(
        WorkerState("alpha", "worker/alpha at 10.0.0.7:4711", 8, 3, 2, "here", ("arch=x86",)),
        WorkerState(EVIL, EVIL, 4, 0, 0, "draining"),
    ),
    clients=(ClientState("client/ann", EVIL, 5, 1536, False, 2, 7, 100, -1),),
    history=tuple(Sample(float(at), 4 * at, at % 8, at, 8) for at in range(20)),
    store_bytes=5 << 20,
    results=321,
    hits=17,
    misses=3,
    ending="draining",
)


@pytest.fixture
async def site() -> AsyncIterator[str]:
    site = Site(lambda: STATE, ("build1",))
    port = await site.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}"
    await site.close()


async def get(
    url: str, method: str = "GET", host: str | None = None
) -> tuple[int, str, dict[str, str]]:
    headers = {"Host": host} if host else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers) as response,
    ):
        return response.status, await response.text(), dict(response.headers)


async def test_the_page_shows_the_state_and_trusts_no_name(site: str) -> None:
    status, text, headers = await get(f"{site}/")
    assert status == 200
    for shown in ("client/ann", "worker/alpha at 10.0.0.7:4711", "1.5 KiB", "1 d 2 h", "draining"):
        assert shown in text
    for shown in (
        "arch=x86",
        "2 of 7",
        "321 outcomes",
        "5.0 MiB of 10.0 GiB",
        "This broker is draining",
    ):
        assert shown in text
    assert "<b>17</b> cached <small>of 20</small>" in text
    assert "1\N{NARROW NO-BREAK SPACE}234" in text
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for name in ("live.js", "style.css"):
        assert (await get(f"{site}/{name}"))[0] == 200


async def test_json_has_all_of_it(site: str) -> None:
    _, text, headers = await get(f"{site}/state.json")
    told = json.loads(text)
    assert headers["Content-Type"].startswith("application/json")
    assert (told["queued"], told["workers"][1]["name"], len(told["history"])) == (1234, EVIL, 20)


async def test_metrics_are_for_prometheus(site: str) -> None:
    _, text, headers = await get(f"{site}/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    for line in (
        'maelstrom_jobs{state="queued"} 1234.0',
        "maelstrom_jobs_ended_total 99.0",
        'maelstrom_workers{state="here"} 1.0',
        "maelstrom_slots 8.0",
        "maelstrom_cache_hits_total 17.0",
        "maelstrom_store_bytes 5.24288e+06",
        "maelstrom_draining 1.0",
    ):
        assert line in text.splitlines()


async def test_health_is_told_in_a_word(site: str) -> None:
    _, text, _ = await get(f"{site}/healthz")
    assert json.loads(text) == {"status": "draining", "workers": 1, "build": "1.2"}


async def test_the_page_is_refreshed_live(site: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{site}/events") as response,
    ):
        event = await response.content.readuntil(b"\n\n")
    assert response.headers["Content-Type"] == "text/event-stream"
    assert all(line.startswith(b"data: ") for line in event.splitlines() if line)
    assert b"client/ann" in event
    assert b"<html" not in event


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:80", 200),
        ("build1", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("evil.example:80", 421),
        ("evil.example", 421),
    ],
)
async def test_a_name_of_others_that_points_here_gets_nothing(
    site: str, host: str, status: int
) -> None:
    assert (await get(f"{site}/state.json", host=host))[0] == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_is_changed_by_http(site: str, method: str) -> None:
    assert (await get(f"{site}/", method))[0] == 405


def test_a_broker_that_just_started_has_a_page() -> None:
    lines = looks.history_lines(())
    assert (lines["slots"], lines["rates"], lines["span_s"]) == ("", "", 0.0)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 s"), (61, "1 min 1 s"), (3600, "1 h"), (90061, "1 d 1 h")]
)
def test_times_are_short(value: float, text: str) -> None:
    assert looks.seconds(value) == text


def test_the_newest_value_is_at_the_right_end() -> None:
    assert looks.line([0, 5, 10], 10) == "0.0,80.0 300.0,40.0 600.0,0.0"
