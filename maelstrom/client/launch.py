"""Put a test run together from its parts: what the SCons tool calls when a test really runs."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs

from maelstrom.client.description import Description
from maelstrom.client.driver import Driver, Request
from maelstrom.client.engine import Engine
from maelstrom.client.events import EndTarget
from maelstrom.client.explaining import ExplainingDriver
from maelstrom.client.hybrid import beside
from maelstrom.client.plain import PlainEngine
from maelstrom.client.record import Record
from maelstrom.client.target import ContainerPlanner, PlainPlanner
from maelstrom.client.unrun import Unrun, events
from maelstrom.layers.hasher import Hasher
from maelstrom.model.amounts import Amounts
from maelstrom.report import reporter
from maelstrom.report.events import RunFinished, RunStarted
from maelstrom.report.order import OrderReporter

CACHE_VARIABLE = "MAELSTROM_CACHE_DIR"
RECORD = "record.sqlite"
STORE_BYTES_MAX = 10 << 30
OUTPUTS = "outputs"


def cache_directory() -> Path:
    """Return where content and digests are kept between runs, for all projects."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else platformdirs.user_cache_path("maelstrom")


class TestClient:
    """A test run with everything it needs."""

    __test__ = False  # Its name makes pytest think it were one of its own.

    def __init__(
        self,
        *,
        project: str,
        state: Path,
        is_contained: bool,
        broker: str | None,
        slots: int | None,
        resources: Amounts = (),
        ui: str,
        junit: str | None,
        uses_cache: bool = True,
        identity: str | None = None,
        store_bytes: int = STORE_BYTES_MAX,
        is_hybrid: bool = False,
        explains_order: bool = False,
    ) -> None:
        order = OrderReporter(sys.stdout, colour=False) if explains_order else None
        told = order or reporter(ui, sys.stdout, junit=_path(project, junit))
        self._driver: Driver
        self._hasher: Hasher | None = None
        self._planner: PlainPlanner | ContainerPlanner
        engine: Engine
        if is_contained:
            from maelstrom.client.session import Session

            cache = cache_directory()

            def session(broker: str | None) -> Session:
                return Session(
                    broker=broker,
                    slots=slots,
                    resources=resources,
                    store_root=cache / "store",
                    store_bytes_max=store_bytes,
                    identity=None if identity is None else Path(identity).expanduser(),
                )

            shared = session(broker)
            shared.on_note = lambda text: self._driver.note(text)  # noqa: PLW0108  # Not yet there.
            engine = shared
            if broker is not None:
                engine = beside(
                    shared, lambda: session(None), slots=slots, has=resources, is_hybrid=is_hybrid
                )
            self._hasher = Hasher(cache / "digests")
            self._planner = ContainerPlanner(self._hasher, engine.offer)
        else:
            engine = PlainEngine(slots=slots or 1)
            self._planner = PlainPlanner()
        record = Record(state / RECORD, world=_world(is_contained))
        where = _where(is_contained, broker, is_hybrid=is_hybrid)
        made = Driver if order is None else ExplainingDriver
        self._driver = made(
            engine, told, record, where=where, uses_cache=uses_cache, outputs=state / OUTPUTS
        )
        if order is not None:
            self._driver.on_case = order.plan
        # Last: what it tells may come at once.
        engine.start()

    def run(self, description: Description, on_end: Callable[[EndTarget], None]) -> None:
        """Run a test; returns at once."""
        planner = self._planner
        request = Request(
            name=description.name,
            prepare=lambda: planner.plan(description),
            on_end=on_end,
            again=description.again,
        )
        self._driver.run(request)

    def stop(self, *, is_interrupt: bool) -> None:
        """Start nothing more; take back what runs too if the user has interrupted us."""
        self._driver.stop(is_interrupt=is_interrupt)

    def close(self, unrun: Unrun) -> int:
        """End the run with its summary; returns the exit status it deserves."""
        status = self._driver.close(unrun)
        if self._hasher is not None:
            self._hasher.close()
        return status


def write_report(
    *, project: str, state: Path, is_contained: bool, junit: str, unrun: Unrun
) -> None:
    """Write the JUnit file of a run in which nothing had to be run."""
    told = reporter("quiet", io.StringIO(), junit=_path(project, junit))
    record = Record(state / RECORD, world=_world(is_contained))
    told.handle(RunStarted(0.0, ""))
    for event in events(unrun, record):
        told.handle(event)
    told.handle(RunFinished(0.0))
    told.close()
    record.close()


def _path(project: str, junit: str | None) -> str | None:
    return str(Path(project) / junit) if junit else None


def _world(is_contained: bool) -> str:
    return "container" if is_contained else "plain"


def _where(is_contained: bool, broker: str | None, *, is_hybrid: bool) -> str:
    if not is_contained:
        return "plain processes of this host"
    if broker is None:
        return "containers on this host"
    return f"containers of the broker {broker}" + (" and of this host" if is_hybrid else "")
