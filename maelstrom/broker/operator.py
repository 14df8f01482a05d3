"""Operators: they look, drain workers, cancel jobs and stop the broker."""

from typing import TYPE_CHECKING, assert_never

import msgspec

from maelstrom.broker import events
from maelstrom.broker.peers import ClientPeer, Peer
from maelstrom.errors import MaelstromError, TrustError, UserError
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec

if TYPE_CHECKING:
    from maelstrom.broker.daemon import Broker

FROM_OPERATOR: Codec[messages.AdminToBroker] = Codec(messages.AdminToBroker)


class OperatorPeer(Peer):
    """An operator; one who may only look is refused the rest."""

    def received(self, message: messages.AdminToBroker) -> None:
        """Do it, or say why not."""
        match message:
            case messages.AskState():
                body = msgspec.json.encode(self.broker.observer.look())
                self.connection.send(messages.StateIs(body))
            case messages.Drain() | messages.CancelJobs() | messages.Stop():
                try:
                    done = self._change(message)
                except UserError as error:
                    self.connection.send(messages.Failed(error.message, error.hint))
                else:
                    fields = {"peer": self.connection.peer, "done": done}
                    self.broker.log.info("operator", extra={"fields": fields})
                    self.connection.send(messages.Done(done))
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def _change(self, message: messages.Drain | messages.CancelJobs | messages.Stop) -> str:
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
