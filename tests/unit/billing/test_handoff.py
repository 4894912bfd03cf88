"""A ticket gives its URL to the session it was sealed for, for a minute."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from billing_ui.accounts.sessions import Identity
from billing_ui.billing import handoff
from billing_ui.billing.handoff import open_departure, seal_departure
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Role
from billing_ui.payments.types import InvalidRequest
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers

URL = "https://portal.example.com/p/session/s3cr3t"
WHO = Identity(
    session_id=uuid4(),
    user_id=uuid4(),
    email="owner@example.com",
    user_name="",
    team_id=uuid4(),
    team_name="",
    role=Role.OWNER,
)


def services_with(key: str = "a key") -> Services:
    """Return services that sign with `key`."""
    settings = make_settings(secret_key=SecretStr(key))
    return Services(settings, Database("sqlite+aiosqlite://"), FakeDrivers(settings, FakeDriver()))


def test_the_same_session_gets_the_url_back() -> None:
    ticket = seal_departure(services_with(), WHO, URL)
    assert "s3cr3t" not in ticket
    assert open_departure(services_with(), WHO, ticket) == URL


def test_another_session_does_not_even_of_the_same_person() -> None:
    ticket = seal_departure(services_with(), WHO, URL)
    with pytest.raises(InvalidRequest):
        open_departure(services_with(), replace(WHO, session_id=uuid4()), ticket)


def test_a_ticket_ends_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = seal_departure(services_with(), WHO, URL)

    def later() -> datetime:
        return utc_now() + timedelta(seconds=62)

    monkeypatch.setattr(handoff, "utc_now", later)
    with pytest.raises(InvalidRequest, match="expired"):
        open_departure(services_with(), WHO, ticket)


def test_another_key_opens_nothing() -> None:
    ticket = seal_departure(services_with(), WHO, URL)
    with pytest.raises(InvalidRequest):
        open_departure(services_with("another key"), WHO, ticket)


@pytest.mark.parametrize("ticket", ["", "x", "é", "gAAAAA", "\x00", "a" * 10_000])
def test_a_damaged_ticket_opens_nothing(ticket: str) -> None:
    with pytest.raises(InvalidRequest):
        open_departure(services_with(), WHO, ticket)
