"""What is counted and timed, for `/metrics`: one small function for each thing that happens.

Several processes may serve one port. With PROMETHEUS_MULTIPROC_DIR set before this module is imported, each keeps
its numbers in a file there, and whichever answers a scrape adds them up; `rxconfig.py` does so when there is a Redis.
No label ever holds an id, an address or a path: their values are few and known.
"""

import os
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_SHARED: Final = "PROMETHEUS_MULTIPROC_DIR" in os.environ
_PREFIX: Final = "billing_ui"

_CALL_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Bounds for what answers at once or times out: requests, calls to the provider, syncs."""
_LAG_SECONDS: Final = (
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    15,
    60,
    300,
    900,
    3600,
    21_600,
    86_400,
)
"""Bounds for how late something is: from unnoticed to a day, after which a customer is parked."""


class SyncOutcome(StrEnum):
    """How a sync of one customer ended."""

    APPLIED = "applied"
    SUPERSEDED = "superseded"
    """A later fetch was applied first."""
    UNAVAILABLE = "unavailable"
    """The provider did not answer, or asked to wait."""
    REFUSED = "refused"
    """The provider refused for good."""
    FAILED = "failed"
    """Something of ours went wrong."""


_registry: Final = CollectorRegistry()
# When each series began: as many series again, which nothing here reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


def _counter(name: str, says: str, *labels: str) -> Counter:
    return Counter(f"{_PREFIX}_{name}", says, labels, registry=_registry)


def _histogram(name: str, says: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"{_PREFIX}_{name}", says, labels, buckets=bounds, registry=_registry)


_accepted = _counter(
    "events_accepted", "Events stored in the inbox for the first time.", "provider", "source"
)
_duplicates = _counter(
    "events_duplicate", "Events that were in the inbox already.", "provider", "source"
)
_refused = _counter("webhooks_refused", "Webhooks that were not accepted.", "provider", "reason")
_accept_lag = _histogram(
    "event_accept_lag_seconds",
    "From an event at the provider to its row in the inbox.",
    _LAG_SECONDS,
    "provider",
    "source",
)
_page_lag = _histogram(
    "page_lag_seconds",
    "From the moment a customer was out of date to the moment its open pages were told.",
    _LAG_SECONDS,
)
_sync = _histogram(
    "sync_seconds",
    "Syncs of one customer, by how they ended.",
    _CALL_SECONDS,
    "provider",
    "outcome",
)
_parked = _counter(
    "syncs_parked", "Customers given up on after a day of failing syncs.", "provider"
)
_provider_call = _histogram(
    "provider_call_seconds",
    "Attempts to call the provider's API, by the answer's status class.",
    _CALL_SECONDS,
    "provider",
    "status",
)
_request = _histogram(
    "http_request_seconds",
    "HTTP requests by route template, method and status class.",
    _CALL_SECONDS,
    "route",
    "method",
    "status",
)

if not _SHARED:
    # Of several processes, memory and processor time of the one that happens to answer would say nothing.
    ProcessCollector(registry=_registry)
    PlatformCollector(registry=_registry)


def event_accepted(
    provider: str, *, new: bool, source: str = "webhook", lag_seconds: float | None = None
) -> None:
    """Count an event that reached the inbox.

    Args:
        new: whether it was stored, rather than found there.
        source: how it came, as in `models.EventSource`.
        lag_seconds: from its creation at the provider until it was stored; of new events only.
    """
    (_accepted if new else _duplicates).labels(provider, source).inc()
    if new and lag_seconds is not None:
        _accept_lag.labels(provider, source).observe(max(lag_seconds, 0))


def webhook_refused(provider: str, reason: str) -> None:
    """Count a webhook that was not accepted.

    Args:
        reason: a word, such as `signature`, `body`, `size` or `database`; never something that was sent.
    """
    _refused.labels(provider, reason).inc()


def sync_finished(provider: str, seconds: float, outcome: SyncOutcome) -> None:
    """Note that the sync of one customer ended, from taking the lease to giving it back."""
    _sync.labels(provider, outcome.value).observe(seconds)


def sync_parked(provider: str) -> None:
    """Count a customer that the worker gave up on."""
    _parked.labels(provider).inc()


def page_lag(seconds: float) -> None:
    """Note how long after a customer was marked out of date its open pages were told."""
    _page_lag.observe(max(seconds, 0))


def provider_called(provider: str, seconds: float, status: int | None) -> None:
    """Note one attempt to call a provider's API; `status` is None when no whole answer came."""
    _provider_call.labels(provider, "none" if status is None else status_class(status)).observe(
        seconds
    )


def http_answered(route: str, method: str, status: int, seconds: float) -> None:
    """Note an answered HTTP request.

    Args:
        route: the route's template, such as `/api/webhooks/{provider}`; never a path, which can hold an id or a ticket.
    """
    _request.labels(route, method, status_class(status)).observe(seconds)


def status_class(status: int) -> str:
    """Return the class of an HTTP status, such as `2xx`."""
    return f"{status // 100}xx"


def gauge(name: str, says: str, value: float) -> Metric:
    """Return something that was looked up for this scrape; `name` is without our prefix."""
    return GaugeMetricFamily(f"{_PREFIX}_{name}", says, value=value)


def gauges(name: str, says: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    """Return something that was looked up for this scrape of several things.

    Args:
        name: without our prefix.
        label: what tells them apart, such as `provider`.
        values: which one, and its value.
    """
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", says, labels=[label])
    for which, value in values:
        family.add_metric([which], value)
    return family


def exposition(looked_up: Iterable[Metric] = ()) -> bytes:
    """Return everything counted by all processes, and `looked_up`, as Prometheus reads it (`CONTENT_TYPE`)."""
    given = CollectorRegistry()
    given.register(_Given(looked_up))
    return generate_latest(_all_processes() if _SHARED else _registry) + generate_latest(given)


def _all_processes() -> CollectorRegistry:
    registry = CollectorRegistry()
    # The library leaves this constructor untyped.
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


class _Given(Collector):
    """Hands out what was looked up already: a collector may not await."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)
