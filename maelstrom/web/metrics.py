"""The broker's state for Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from maelstrom.broker.status import State

HEADERS = {"Content-Type": CONTENT_TYPE_LATEST}


class _State(Collector):
    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state = self._state
        jobs = GaugeMetricFamily("maelstrom_jobs", "Jobs at hand, by state.", labels=["state"])
        for name in ("gathering", "queued", "running"):
            jobs.add_metric([name], getattr(state, name))
        yield jobs
        yield CounterMetricFamily("maelstrom_jobs_ended", "Jobs that ended.", state.ended)
        yield CounterMetricFamily("maelstrom_faults", "Infrastructure faults told.", state.faults)
        workers = GaugeMetricFamily("maelstrom_workers", "Workers, by state.", labels=["state"])
        for name in ("here", "draining", "absent"):
            workers.add_metric([name], sum(worker.state == name for worker in state.workers))
        yield workers
        yield GaugeMetricFamily("maelstrom_slots", "Slots of workers that are here.", state.slots)
        yield GaugeMetricFamily("maelstrom_clients", "Sessions of clients.", len(state.clients))
        yield CounterMetricFamily(
            "maelstrom_cache_hits", "Jobs answered with the outcome of an equal one.", state.hits
        )
        yield CounterMetricFamily(
            "maelstrom_cache_misses", "Jobs for which none was known.", state.misses
        )
        yield GaugeMetricFamily("maelstrom_cache_results", "Outcomes kept.", state.results)
        yield GaugeMetricFamily("maelstrom_store_bytes", "Content kept.", state.store_bytes)
        yield GaugeMetricFamily(
            "maelstrom_draining", "Whether it is about to end.", bool(state.ending)
        )
        yield GaugeMetricFamily("maelstrom_up_seconds", "Time since the start.", state.up_s)
        yield GaugeMetricFamily(
            "maelstrom_store_limit_bytes", "How much content is kept.", state.store_limit_bytes
        )


def render(state: State) -> bytes:
    """Return it as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_State(state))
    return generate_latest(registry)
