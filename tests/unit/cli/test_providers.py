"""`billing-ui providers report` as an operator meets it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import Session, create_engine
from typer.testing import CliRunner, Result

from billing_ui.cli import app
from billing_ui.models import Customer, Subscription, Team
from billing_ui.settings import get_settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The database file of a company that moves from Stripe to Polar; nothing is in it yet."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "DATABASE_URL": "sqlite:///billing.db",
        "SECRET_KEY": "for tests only",
        "PAYMENT_PROVIDER": "polar",
        "POLAR_ACCESS_TOKEN": "polar_oat_tests",
        "LEGACY_PROVIDERS": "stripe",
        "STRIPE_SECRET_KEY": "sk_test_tests",
    }.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield tmp_path / "billing.db"
    get_settings.cache_clear()


def report(*arguments: str) -> Result:
    """Run the command; an exception that leaves it fails the test."""
    result = CliRunner().invoke(app, ["providers", "report", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def fill(file: Path) -> None:
    """Store three teams: one at each of three providers, the first of them also at the second."""
    at = datetime(2026, 12, 3, tzinfo=UTC)
    with Session(create_engine(f"sqlite:///{file}")) as session:
        acme, bluefin, late = Team(name="Acme"), Team(name="Bluefin"), Team(name="Late Ltd")
        session.add_all([acme, bluefin, late])
        session.flush()
        customers = [
            Customer(team_id=acme.id, provider="stripe", provider_customer_id="cus_1"),
            Customer(team_id=acme.id, provider="polar", provider_customer_id="polar_1"),
            Customer(team_id=bluefin.id, provider="stripe", provider_customer_id="cus_2"),
            Customer(team_id=late.id, provider="paddle", provider_customer_id="ctm_1"),
        ]
        session.add_all(customers)
        session.flush()
        session.add_all(
            Subscription(
                provider=customer.provider,
                id=f"sub_{number}",
                customer_id=customer.id,
                status=state,
                state=state,
                currency="usd",
                created_at=at,
                raw={},
            )
            for number, (customer, state) in enumerate(
                zip(customers, ("active", "active", "past_due", "ended"), strict=True)
            )
        )
        session.commit()


def test_an_empty_installation_has_its_providers_and_no_one_in_them(file: Path) -> None:
    result = report()
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "provider  role    teams  no team",
        "Polar     active      0        0",
        "Stripe    legacy      0        0",
    ]


def test_teams_and_states_stand_in_a_table_and_what_is_wrong_below_it(file: Path) -> None:
    report()
    fill(file)
    assert report().stdout.splitlines() == [
        "provider  role        teams  no team  active  past due  ended",
        "Polar     active          1        0       1         0      0",
        "Stripe    legacy          2        0       1         1      0",
        "Paddle    not served      1        0       0         0      1",
        "1 team is a customer of a provider that is not served, and can change nothing."
        " Name it in LEGACY_PROVIDERS.",
        "1 team has a live plan at several providers: Acme",
    ]


def test_programs_get_it_as_json(file: Path) -> None:
    report()
    fill(file)
    document = json.loads(report("--json").stdout)
    assert document["providers"][1] == {
        "provider": "stripe",
        "role": "legacy",
        "teams": 2,
        "unclaimed": 0,
        "subscriptions": {"active": 1, "past_due": 1},
    }
    assert (document["stranded_teams"], document["teams_paying_twice"]) == (1, 1)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"LEGACY_PROVIDERS": "stripe,polar"}, "LEGACY_PROVIDERS names polar, which is PAYMENT"),
        ({"LEGACY_PROVIDERS": "paddle"}, "LEGACY_PROVIDERS names paddle, but PADDLE_API_KEY is"),
    ],
)
def test_legacy_providers_that_cannot_be_are_refused_with_a_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = report()
    assert result.exit_code == 1
    assert says in str(result.exception)
