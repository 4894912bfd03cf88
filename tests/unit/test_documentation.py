"""The documentation: what it points to is there."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from billing_ui.payments.driver import Drivers
from billing_ui.payments.types import Capabilities, FlowType
from billing_ui.settings import Provider, Settings

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_and_images_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        found = document.parent / path if path else document
        assert found.exists(), target
        headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE) if heading else []
        assert not heading or heading in [line.lower().replace(" ", "-") for line in headings]


def test_the_tests_that_show_a_protection_are_there() -> None:
    text = (REPOSITORY / "docs" / "security.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")][2:]
    assert rows
    for _, threat, _, shown_by, _ in rows:
        named = re.findall(r"`([^`]+)`", shown_by)
        assert named, threat
        assert all((REPOSITORY / "tests" / file).is_file() for file in named), shown_by


@pytest.mark.parametrize("package", ["accounts", "billing"])
def test_every_use_case_is_in_the_table_of_where_to_look(package: str) -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    table = text.partition(f"## Where in `{package}/`")[2].partition("\n## ")[0]
    modules = {file.stem for file in (REPOSITORY / "billing_ui" / package).glob("*.py")}
    assert set(re.findall(r"`([a-z_]+)`", table)) == modules - {"__init__"}


_CLAIMS: Final[dict[str, Callable[[Capabilities], bool]]] = {
    "portal leads back here": lambda can: can.returns,
    "plans can be switched in the portal": lambda can: can.plan_changes,
    "portal opens at the payment method": lambda can: FlowType.PAYMENT_METHOD_UPDATE in can.flows,
    "portal opens at: payment method": lambda can: FlowType.PAYMENT_METHOD_UPDATE in can.flows,
    "… changing plans": lambda can: FlowType.SUBSCRIPTION_UPDATE in can.flows,
    "… a switch that is only to be confirmed": (
        lambda can: FlowType.SUBSCRIPTION_UPDATE_CONFIRM in can.flows
    ),
    "… canceling": lambda can: FlowType.SUBSCRIPTION_CANCEL in can.flows,
    "… billing details": lambda can: FlowType.CUSTOMER_UPDATE in can.flows,
    "portal offers what our configuration says": lambda can: can.portal_configurations,
    "every payment method is shown": lambda can: can.payment_method_list,
    "lost webhooks are found in a list of events": lambda can: can.event_list,
    "list of events, for recovery and polling": lambda can: can.event_list,
    "lists by range of time, for a fast backfill": lambda can: can.lists_by_time,
    "hosted portal and checkout": lambda can: can.checkout,
}
"""What a row of a table says of the drivers."""


@pytest.mark.parametrize("document", ["README.md", "docs/providers.md"])
async def test_what_each_provider_is_said_to_do_is_what_its_driver_does(document: str) -> None:
    tables = (REPOSITORY / document).read_text().partition("| | Stripe | Polar |")[2]
    rows = [line.split("|") for line in tables.partition("\n\n")[0].splitlines()]
    said = {row[1].strip(): row[2:6] for row in rows if len(row) > 5}
    settings = Settings(
        _env_file=None,
        legacy_providers=tuple(each for each in Provider if each is not Provider.STRIPE),
        stripe_secret_key=SecretStr("sk_test_documents"),
        polar_access_token=SecretStr("polar_oat_documents"),
        lemonsqueezy_api_key=SecretStr("documents"),
        lemonsqueezy_store_id="1",
        paddle_api_key=SecretStr("pdl_sdbx_apikey_documents"),
    )
    drivers = Drivers(settings)
    try:
        can = [drivers.get(provider).capabilities for provider in Provider]
    finally:
        await drivers.close()
    held = [row for row in said if row in _CLAIMS]
    assert len(held) >= 5
    for row in held:
        told = [not cell.strip().startswith("no") for cell in said[row]]
        assert told == [_CLAIMS[row](each) for each in can], row
