"""Operators: they look, drain workers, limit clients, cancel jobs and stop the broker.

What they say of workers and clients by name outlives the broker, if it has a journal.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, assert_never

import msgspec

from maelstrom.broker import events
from maelstrom.broker.peers import ClientPeer, Peer
from maelstrom.broker.queue import PRIORITY_MAX
from maelstrom.broker.quota import Quota
from maelstrom.errors import MaelstromError, TrustError, UserError
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec

if TYPE_CHECKING:
    from maelstrom.broker.daemon import Broker
    from maelstrom.broker.journal import Journal

FROM_OPERATOR: Codec[messages.AdminToBroker] = Codec(messages.AdminToBroker)
ORDER_MAX = 1000
DRAINED, LIMITS = "drained", "limits"
"""Kinds of settings in the journal."""
_Change = messages.Drain | messages.CancelJobs | messages.LimitClient | messages.Stop
_FIELDS = {"jobs": "jobs", "bytes": "size_bytes", "slots": "slots", "priority": "priority",
           "specs": "spec_bytes"}  # fmt: skip


class OperatorPeer(Peer):
    """An operator; one who may only look is refused the rest."""

    def received(self, message: messages.AdminToBroker) -> None:
        """Do it, or say why not."""
        match message:
            case messages.AskState():
                body = msgspec.json.encode(self.broker.observer.look())
                self.connection.send(messages.StateIs(body))
            case messages.AskOrder(count):
                body = msgspec.json.encode(self.broker.observer.order(min(count, ORDER_MAX)))
                self.connection.send(messages.OrderIs(body))
            case (
                messages.Drain() | messages.CancelJobs() | messages.LimitClient() | messages.Stop()
            ):
                try:
                    done = self._change(message)
                except UserError as error:
                    self.connection.send(messages.Failed(error.message, error.hint))
                else:
                    self.broker.log.info("operator", peer=self.connection.peer, done=done)
                    self.connection.send(messages.Done(done))
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def _change(self, message: _Change) -> str:
        broker = self.broker
        if not broker.access.may_change(self.connection):
            error = TrustError(
                f"{self.connection.certificate} has the wrong role: this needs admin",
                hint="a monitor may only look",
            )
            broker.access.tell(self.connection, error)
            raise error
        match message:
            case messages.Drain(worker, is_draining):
                return drain(broker, worker, is_draining=is_draining)
            case messages.CancelJobs(client, job):
                return cancel(broker, client, job)
            case messages.LimitClient(client, limits):
                return limit(broker, client, limits)
            case messages.Stop(is_draining):
                if is_draining:
                    return broker.ending.finish()
                broker.on_end()
                return "the broker stops"
            case _:
                assert_never(message)

    def lost(self, error: MaelstromError | None) -> None:
        """It is gone; what it asked for goes on."""
        super().lost(error)


def drain(broker: "Broker", name: str, *, is_draining: bool) -> str:
    """Give all workers of a name nothing more, or jobs again; raises UserError."""
    found = [worker for worker in broker.workers.values() if worker.name == name]
    if not found and (is_draining or name not in broker.drained):
        here = ", ".join(sorted({worker.name for worker in broker.workers.values()})) or "none"
        raise UserError(f"there is no worker `{name}`", hint=f"those here: {here}")
    if is_draining:
        broker.drained[name] = None
    else:
        broker.drained.pop(name, None)
    _keep(broker, DRAINED, name, b"" if is_draining else None)
    for worker in found:
        broker.schedule(events.WorkerDraining(worker.id, is_draining))
    if not is_draining:
        return f"worker {name} gets jobs again"
    running = sum(len(broker.scheduler.jobs_of(worker.id)) for worker in found)
    return f"worker {name} gets nothing more; {running} jobs are still there"


def cancel(broker: "Broker", name: str, number: int) -> str:
    """Take back a job of a client, or all if `number` is 0; raises UserError."""
    clients = [client for client in broker.clients.values() if client.owner == name]
    if not clients:
        here = ", ".join(sorted({client.owner for client in broker.clients.values()})) or "none"
        raise UserError(f"there is no client `{name}`", hint=f"those here: {here}")
    return f"took back {sum(_cancel(broker, client, number) for client in clients)} jobs of {name}"


def _cancel(broker: "Broker", client: ClientPeer, number: int) -> int:
    wanted = [number] if number else list(client.jobs)
    jobs = [each for each in wanted if each in client.jobs]
    for each in jobs:
        broker.cancelled(client, messages.Cancel(each, even_running=True))
    return len(jobs)


def limit(broker: "Broker", name: str, limits: Mapping[str, int]) -> str:
    """Give a client limits of its own, or again those that all have; raises UserError."""
    quota = None
    if limits:
        for field, value in limits.items():
            if field not in _FIELDS:
                known = ", ".join(_FIELDS)
                raise UserError(f"there is no limit `{field}`", hint=f"there are {known}")
            if value < (-PRIORITY_MAX if field == "priority" else 0) or value > sys.maxsize:
                raise UserError(f"{value} cannot be a limit of {field}")
        quota = broker.quotas.of(name)._replace(**{_FIELDS[f]: v for f, v in limits.items()})
    _keep(broker, LIMITS, name, None if quota is None else msgspec.msgpack.encode(quota))
    _give(broker, name, quota)
    is_here = any(client.owner == name for client in broker.clients.values())
    return f"{name} may have {broker.quotas.of(name)}" + ("" if is_here else "; it is not here now")


def _give(broker: "Broker", name: str, quota: Quota | None) -> None:
    broker.quotas.set(name, quota)
    now = broker.quotas.of(name)
    broker.schedule(events.OwnerLimited(name, now.slots, now.priority))


def _keep(broker: "Broker", kind: str, name: str, value: bytes | None) -> None:
    if broker.journal is not None:
        broker.journal.set(kind, name, value)


def restore(broker: "Broker", journal: "Journal") -> None:
    """Take up what was said before a restart."""
    broker.drained.update(dict.fromkeys(journal.settings(DRAINED)))
    for name, value in journal.settings(LIMITS).items():
        with journal.explained():
            quota = msgspec.msgpack.decode(value, type=Quota)
        _give(broker, name, quota)
