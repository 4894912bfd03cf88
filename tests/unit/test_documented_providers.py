"""What the documents say that each provider can do, and call each status, is what its driver says."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from billing_ui.payments.driver import Drivers
from billing_ui.payments.types import Capabilities, FlowType
from billing_ui.settings import KEY_SETTINGS, Provider, Settings

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs" / "providers.md"
README = REPOSITORY / "README.md"
COLUMNS = {
    "Stripe": Provider.STRIPE,
    "Polar": Provider.POLAR,
    "Lemon Squeezy": Provider.LEMONSQUEEZY,
    "Paddle": Provider.PADDLE,
}
ROWS: dict[str, Callable[[Capabilities], bool]] = {
    "portal leads back here": lambda can: can.returns,
    "portal opens at: payment method": lambda can: FlowType.PAYMENT_METHOD_UPDATE in can.flows,
    "… changing plans": lambda can: FlowType.SUBSCRIPTION_UPDATE in can.flows,
    "… a switch that is only to be confirmed": lambda can: (
        FlowType.SUBSCRIPTION_UPDATE_CONFIRM in can.flows
    ),
    "… canceling": lambda can: FlowType.SUBSCRIPTION_CANCEL in can.flows,
    "… billing details": lambda can: FlowType.CUSTOMER_UPDATE in can.flows,
    "plans can be switched in the portal": lambda can: can.plan_changes,
    "portal offers what our configuration says": lambda can: can.portal_configurations,
    "hosted checkout": lambda can: can.checkout,
    "checkout leads back here": lambda can: can.checkout_returns,
    "payment methods": lambda can: can.payment_method_list,
    "address of a PDF lasts": lambda can: not can.invoice_pdf_on_demand,
    "list of events, for recovery and polling": lambda can: can.event_list,
    "lists by range of time, for a fast backfill": lambda can: can.lists_by_time,
}

README_ROWS: dict[str, Callable[[Capabilities], bool]] = {
    "hosted portal and checkout": lambda can: can.checkout,
    "portal leads back here": ROWS["portal leads back here"],
    "portal opens at the payment method": ROWS["portal opens at: payment method"],
    "plans can be switched in the portal": ROWS["plans can be switched in the portal"],
    "every payment method is shown": ROWS["payment methods"],
    "lost webhooks are found in a list of events": lambda can: can.event_list,
    "invoices as PDF": lambda _: True,
    "all that is compared with the provider": lambda _: True,
}


def table(heading: str, document: Path = DOCUMENT) -> dict[str, list[str]]:
    """Return the cells of the first table below a heading, by the first cell of each row."""
    text = document.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def capabilities(provider: Provider, **settings: str) -> Capabilities:
    """Return what a provider can do, as its driver says; nothing is asked of it."""
    fields: dict[str, Any] = {
        KEY_SETTINGS[provider].lower(): "sk_test_documented",
        "payment_provider": provider,
        "lemonsqueezy_store_id": "1",
    }
    return Drivers(Settings(_env_file=None, **fields | settings)).active.capabilities


@pytest.mark.parametrize(("place", "provider"), list(enumerate(COLUMNS.values())))
def test_the_table_of_features_says_what_the_driver_says(place: int, provider: Provider) -> None:
    rows, can = table("What each can do"), capabilities(provider)
    assert rows[""] == list(COLUMNS)
    said = {name: rows[name][place].startswith(("yes", "all")) for name in ROWS}
    assert said == {name: has(can) for name, has in ROWS.items()}


@pytest.mark.parametrize(("place", "provider"), list(enumerate(COLUMNS.values())))
def test_the_short_table_says_the_same(place: int, provider: Provider) -> None:
    rows, can = table("With Polar, Lemon Squeezy or Paddle", README), capabilities(provider)
    assert rows.pop("") == list(COLUMNS)
    rows.pop("---")
    said = {name: cells[place] == "yes" for name, cells in rows.items()}
    assert said == {name: has(can) for name, has in README_ROWS.items()}


@pytest.mark.parametrize(("place", "provider"), list(enumerate(COLUMNS.values())))
def test_the_table_of_statuses_has_every_status_of_the_driver_under_its_word(
    place: int, provider: Provider
) -> None:
    rows = table("Statuses")
    assert rows["shown as"] == list(COLUMNS)
    states = importlib.import_module(f"billing_ui.payments.{provider}.mapping").STATES
    said = {
        status: word
        for word, cells in rows.items()
        # What is to end is an active or trialing one with an end, where there is no status for it.
        if word != "Canceling" or "with" not in cells[place]
        for status in re.findall(r"`([a-z_]+)`", cells[place])
    }
    assert said == {
        status: state.value.replace("_", " ").capitalize() for status, state in states.items()
    }


@pytest.mark.parametrize(("place", "provider"), list(enumerate(COLUMNS.values())))
def test_the_tables_say_how_often_each_is_asked(place: int, provider: Provider) -> None:
    live, testing = capabilities(provider), capabilities(provider)
    if provider is Provider.STRIPE:
        live = capabilities(
            provider, stripe_secret_key="sk_live_documented", secret_key="for tests"
        )
    if provider is Provider.POLAR:
        testing = capabilities(provider, polar_api_base="https://sandbox-api.polar.sh")
    paces = [f"{can.background_calls_per_second:g}" for can in (live, testing)]
    pace = paces[0] if paces[0] == paces[1] else f"{paces[0]} ({paces[1]})"
    said = table("What each can do")["background calls a second (test key, own sandbox)"]
    assert said[place] == pace
    calls = table("How each is asked")["calls a snapshot takes, about"]
    assert calls[place] == str(live.snapshot_calls)


@pytest.mark.parametrize("provider", list(Provider))
def test_each_package_has_the_files_that_all_have(provider: Provider) -> None:
    first = DOCUMENT.read_text().split("\n\n")[1].partition("It is an async object")[0]
    files = re.findall(r"`(\w+\.py)`", first)
    assert files
    package = REPOSITORY / "billing_ui" / "payments" / provider
    assert all((package / file).is_file() for file in files)
