"""The sandbox as a process: its port, its end, and what a sudden death leaves."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import stripe

from tests.conftest import free_port

KEY = {"Authorization": "Bearer sk_test_process"}


def start(database: Path, port: int, *options: str) -> "subprocess.Popen[str]":
    """Start a sandbox and return it when it listens or has ended."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "billing_ui.sandbox", "--port", str(port)),
            *("--database", str(database), *options),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line in ("", f"Sandbox listening on http://127.0.0.1:{port}\n")
    return process


def client(port: int) -> stripe.StripeClient:
    """Return the SDK for a sandbox."""
    address = f"http://127.0.0.1:{port}"
    return stripe.StripeClient(
        "sk_test_process", base_addresses={"api": address}, http_client=stripe.UrllibClient()
    )


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    database, port = tmp_path / "sandbox.db", free_port()
    process = start(database, port)
    made = [client(port).v1.customers.create({"name": str(number)}).id for number in range(20)]
    process.kill()
    process.wait()
    again = start(database, port)
    listed = client(port).v1.customers.list({"limit": 100}).data
    assert [one.id for one in listed] == made[::-1]
    events = client(port).v1.events.list({"limit": 100}).data
    assert len(events) == 20
    again.kill()
    again.wait()


def test_it_ends_with_its_standard_input(tmp_path: Path) -> None:
    process = start(tmp_path / "sandbox.db", free_port(), "--exit-with-stdin")
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def test_a_slow_answer_does_not_keep_it_alive(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path / "sandbox.db", port, "--exit-with-stdin")
    url = f"http://127.0.0.1:{port}"
    fault = {"kind": "latency", "path": "/v1/customers", "seconds": 600, "times": 1}
    httpx.post(f"{url}/_control/faults", json=fault).raise_for_status()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.get, f"{url}/v1/customers", headers=KEY, timeout=60)
        while httpx.get(f"{url}/_control/faults").json()["faults"]:
            assert not slow.done()
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        assert slow.exception(timeout=30) is not None or not slow.result().is_success


def test_a_taken_port_is_said_and_is_an_error(tmp_path: Path) -> None:
    port = free_port()
    first = start(tmp_path / "one.db", port)
    second = start(tmp_path / "two.db", port)
    assert second.wait(timeout=20) == 1
    assert second.stderr is not None
    message = second.stderr.read()
    assert f"The sandbox cannot listen on 127.0.0.1:{port}" in message
    assert "Traceback" not in message
    first.kill()
    first.wait()


def test_its_front_page_says_what_it_is(sandbox_url: str) -> None:
    page = httpx.get(sandbox_url)
    assert page.status_code == 200
    assert "Billing sandbox" in page.text
    assert sandbox_url in page.text


def test_time_passes_by_itself(tmp_path: Path) -> None:
    database, port = tmp_path / "sandbox.db", free_port()
    process = start(database, port)
    calls = [
        {
            "method": "post",
            "path": "/v1/prices",
            "params": {
                "currency": "usd",
                "unit_amount": 100,
                "recurring": {"interval": "day"},
                "product_data": {"name": "Daily"},
            },
            "as": "price",
        },
        {
            "method": "post",
            "path": "/v1/customers",
            "params": {
                "payment_method": "pm_card_visa",
                "invoice_settings": {"default_payment_method": "pm_card_visa"},
            },
            "as": "customer",
        },
        {
            "method": "post",
            "path": "/v1/subscriptions",
            "params": {"customer": "{customer.id}", "items": [{"price": "{price.id}"}]},
            "at": int(time.time()) - 3 * 86400 - 7200,
        },
    ]
    url = f"http://127.0.0.1:{port}/_control/batch"
    httpx.post(url, json={"calls": calls}).raise_for_status()
    assert len(client(port).v1.invoices.list().data) == 1
    process.kill()
    process.wait()
    again = start(database, port)
    deadline = time.monotonic() + 20
    while len(client(port).v1.invoices.list({"status": "paid"}).data) < 4:
        assert time.monotonic() < deadline
    again.kill()
    again.wait()
