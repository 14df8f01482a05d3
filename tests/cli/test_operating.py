"""`maelstrom-admin` against a broker on a Unix socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from maelstrom.broker.daemon import Broker
from maelstrom.broker.peers import ClientPeer, WorkerPeer
from maelstrom.cli.admin import admin
from maelstrom.store.disk import DiskStore
from maelstrom.wire import messages
from maelstrom.wire.address import Address
from maelstrom.wire.listener import Listener


class Operated:
    """A broker, and what is said to it."""

    def __init__(self, directory: Path) -> None:
        self.stopped = asyncio.Event()
        store = DiskStore(directory / "store", size_bytes_max=1 << 20)
        self.broker = Broker(store, self.stopped.set)
        address = Address(path=str(directory / "broker"))
        self.listener = Listener(address, lambda: self.broker.add(is_local=True))

    async def run(self, *words: str) -> Result:
        line = [words[0], "--broker", str(self.listener.address), *words[1:]]
        return await asyncio.to_thread(CliRunner().invoke, admin, line)


@pytest.fixture
async def operated(tmp_path: Path) -> AsyncIterator[Operated]:
    operated = Operated(tmp_path)
    yield operated
    await operated.listener.close()
    await operated.broker.close()
    await asyncio.sleep(0)


async def test_status_is_for_people_and_for_programs(operated: Operated) -> None:
    text = await operated.run("status")
    assert text.output.startswith("jobs     0 running, 0 queued, 0 lack contents, 0 ended")
    told = json.loads((await operated.run("status", "--json")).output)
    assert (told["slots"], told["workers"]) == (0, [])


async def test_a_worker_is_told_with_its_labels(operated: Operated) -> None:
    broker = operated.broker
    for name, labels in (("alpha", ("label:arch=x86", "label:fast")), ("beta", ())):
        worker = WorkerPeer(broker, broker.add(is_local=True))
        has = tuple((label, 1) for label in labels)
        broker.worker_joined(worker, messages.Join(name, 2, has))
    first, second = (await operated.run("status")).output.splitlines()[-2:]
    assert first.startswith("worker   alpha")
    assert first.endswith(", arch=x86 fast")
    assert second.startswith("worker   beta")
    assert "arch" not in second


async def test_the_order_of_jobs_is_explained(operated: Operated) -> None:
    assert (await operated.run("explain-order")).output.startswith("no job waits")
    connection = operated.broker.add(is_local=True)
    client = ClientPeer(operated.broker, connection)
    operated.broker.client_joined(client)
    for number, estimate_s in ((1, 0.25), (2, 0.0)):
        submit = messages.Submit(number, b"spec", (), estimate_s=estimate_s, priority=number)
        operated.broker.submitted(client, submit)
    text = await operated.run("explain-order")
    first = " ".join(text.output.splitlines()[0].split())
    assert first == (
        f"1 {client.id}.2 {client.owner} client holding 0, served 0; priority 2; "
        "may take long: not known; waits: no worker is here"
    )
    assert "took 0.25 s before" in text.output.splitlines()[1]
    told = json.loads((await operated.run("explain-order", "--json", "--count", "1")).output)
    assert [job["job"] for job in told] == [f"{client.id}.2"]
    connection.owner = None


async def test_what_cannot_be_done_is_said(operated: Operated) -> None:
    result = await operated.run("drain", "alpha")
    assert str(result.exception) == "there is no worker `alpha`\nhint: those here: none"


async def test_a_broker_is_stopped(operated: Operated) -> None:
    assert (await operated.run("stop")).output == "the broker stops\n"
    await asyncio.wait_for(operated.stopped.wait(), 10)


def test_an_operator_must_say_which_broker() -> None:
    result = CliRunner().invoke(admin, ["status"], env={"MAELSTROM_BROKER": ""})
    assert result.exit_code == 2
    assert "--broker HOST:PORT" in result.output
