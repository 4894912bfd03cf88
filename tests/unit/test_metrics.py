"""What is counted: added up over all the processes that serve one port."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from billing_ui import metrics

COUNT = """
from billing_ui import metrics
metrics.event_accepted("stripe", new=True, lag_seconds=2)
metrics.http_answered("/healthz", "GET", 204, 0.001)
print(metrics.exposition([metrics.gauge("of_this_scrape", "A gauge.", 7)]).decode())
"""


def counted_in_a_process(directory: Path | None) -> str:
    """Count an event and a request in a process of its own, and return what a scrape of it tells."""
    shared = {"PROMETHEUS_MULTIPROC_DIR": str(directory)} if directory else {}
    return subprocess.run(
        [sys.executable, "-c", COUNT],
        env={**os.environ, **shared},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_whichever_process_answers_tells_what_all_of_them_counted(tmp_path: Path) -> None:
    counted_in_a_process(tmp_path)
    told = counted_in_a_process(tmp_path)
    assert 'billing_ui_events_accepted_total{provider="stripe",source="webhook"} 2.0' in told
    assert 'http_request_seconds_count{method="GET",route="/healthz",status="2xx"} 2.0' in told
    assert "billing_ui_of_this_scrape 7.0" in told
    assert "process_resident_memory_bytes" not in told


def test_one_process_alone_tells_of_itself() -> None:
    told = counted_in_a_process(None)
    assert 'billing_ui_events_accepted_total{provider="stripe",source="webhook"} 1.0' in told
    assert "process_resident_memory_bytes" in told


def test_a_provider_whose_clock_is_ahead_makes_no_negative_lag() -> None:
    metrics.event_accepted("early", new=True, lag_seconds=-3)
    assert b'event_accept_lag_seconds_sum{provider="early",source="webhook"} 0.0' in (
        metrics.exposition()
    )


def test_a_duplicate_is_no_accepted_event_and_has_no_lag() -> None:
    metrics.event_accepted("twice", new=False, lag_seconds=3)
    told = metrics.exposition().decode()
    assert 'events_duplicate_total{provider="twice",source="webhook"} 1.0' in told
    assert 'events_accepted_total{provider="twice"' not in told
    assert 'event_accept_lag_seconds_sum{provider="twice"' not in told


@pytest.mark.parametrize(
    ("status", "class_"), [(200, "2xx"), (303, "3xx"), (404, "4xx"), (503, "5xx")]
)
def test_statuses_are_told_by_class(status: int, class_: str) -> None:
    assert metrics.status_class(status) == class_
