"""How a broker comes to its end without losing anything.

Rules of this file:
1. A broker that hands over begins nothing more. It waits a while for what its workers run and have
   ahead; the rest is in the journal, and what still runs then goes on at the workers: the next
   broker takes it up.
2. Meanwhile those clients that are here may submit, for the next broker. New ones are told to come
   again: to the next one.
3. A broker that finishes gives out what it has until the last job has ended, and takes nothing new.
"""

import asyncio
from typing import TYPE_CHECKING

from maelstrom.broker import events
from maelstrom.broker.quota import Busy
from maelstrom.errors import ConnectionLost

if TYPE_CHECKING:
    from maelstrom.broker.daemon import Broker

LOOK_S = 0.05


class Ending:
    """The end of one broker, as far as it has come."""

    def __init__(self, broker: "Broker") -> None:
        self._broker = broker
        self.is_handing_over = False
        self.is_finishing = False

    @property
    def state(self) -> str:
        """In a word, for a person."""
        return "draining" if self.is_handing_over else "finishing" if self.is_finishing else ""

    def hand_over(self, limit_s: float) -> None:
        """End when nothing runs any more, or when that takes too long."""
        self.is_handing_over = True
        broker = self._broker
        running = sum(len(broker.scheduler.jobs_of(worker)) for worker in broker.workers)
        broker.log.info(
            "draining",
            given=running,
            kept=broker.jobs - running,
            limit_s=limit_s,
            hint="once more ends it at once",
        )
        broker.schedule(events.Paused())
        self._look(asyncio.get_running_loop().time() + limit_s)

    def _look(self, until_s: float) -> None:
        broker, loop = self._broker, asyncio.get_running_loop()
        waits = any(
            not worker.is_absent and broker.scheduler.jobs_of(worker.id)
            for worker in broker.workers.values()
        )
        if waits and loop.time() < until_s:
            loop.call_later(LOOK_S, self._look, until_s)
        else:
            broker.on_end()

    def finish(self) -> str:
        """End when all jobs have ended; say so to a person."""
        jobs = self._broker.jobs
        if not jobs:
            self._broker.on_end()
            return "the broker stops"
        self.is_finishing = True
        return f"the broker takes no new jobs, and stops after {jobs} more"

    def look(self) -> None:
        """See whether the last job has ended."""
        if self.is_finishing and not self._broker.jobs:
            self._broker.on_end()

    def admit_client(self) -> None:
        """Raise ConnectionLost if a new client must come later, Busy if there is no later."""
        if self.is_handing_over:
            raise ConnectionLost("the broker is draining: it takes no new clients")
        if self.is_finishing:
            raise Busy(
                "the broker is draining: it takes no new clients", hint="an operator has it stopped"
            )

    def admit_job(self) -> None:
        """Raise Busy if nobody may submit."""
        if self.is_finishing:
            raise Busy(
                "the broker is draining: it takes no new jobs", hint="an operator has it stopped"
            )
