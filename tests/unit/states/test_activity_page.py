"""The activity page: what it says, to whom, a page at a time, and in the reader's language."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from billing_ui.accounts.audit import Actor, AuditAction, record
from billing_ui.accounts.sessions import sign_in_as
from billing_ui.accounts.teams import add_member
from billing_ui.billing.changes import QuantityChanged, dump_changes
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.i18n import Reader
from billing_ui.models import ActorKind, AuditEntry, Role
from billing_ui.states.activity import HEADING, LINES_A_PAGE, ActivityState
from billing_ui.states.activity_view import (
    ACTIVITY_ICONS,
    activity_lines,
    activity_range,
    activity_when,
)
from billing_ui.states.viewer import ViewerState
from tests.unit.billing.factories import Account, new_member
from tests.unit.states.tab import Tab, redirect_of

ADA = Actor(ActorKind.USER, uuid4(), "ada@example.com")
AMERICAN = Reader(Locale.parse("en_US"), ZoneInfo("UTC"))
NOW = datetime(2026, 12, 10, 14, 32, tzinfo=UTC)
ACTIVITY = "/settings/activity"


async def opened(token: str | None) -> Tab:
    """Return a tab that has the page open."""
    tab = Tab(token, path=ACTIVITY)
    await tab.send(ActivityState.load)
    return tab


async def page_of(tab: Tab) -> ActivityState:
    """Return what the tab's page shows."""
    return await tab.state(ActivityState)


async def happened(services: Services, account: Account, *targets: str) -> None:
    """Let roles of these people be changed, one after the other."""
    async with services.database.write() as session:
        for target in targets:
            await record(
                session,
                AuditAction.ROLE_CHANGED,
                team_id=account.team_id,
                actor=ADA,
                target=target,
                details={"from": "member", "to": "billing_manager"},
            )


def sentences(page: ActivityState) -> list[str]:
    """Return the sentences of the lines shown."""
    return [line.sentence for line in page.lines]


# ---------------------------------------------------------------- who sees it


@pytest.mark.parametrize("role", [Role.OWNER, Role.BILLING_MANAGER])
async def test_owners_and_billing_managers_see_what_happened(
    services: Services, account: Account, role: Role
) -> None:
    person = await new_member(services, account, role)
    assert person.user_id is not None
    tab = await opened(await sign_in_as(services.database, person.user_id))
    page = await page_of(tab)
    assert (page.allowed, page.team_name) == (True, "Northwind Labs")
    assert sentences(page) == ["Signed in"]
    assert page.lines[0].who == person.email
    assert (await tab.state(ViewerState)).sees_activity


async def test_a_member_sees_nothing_but_whom_to_ask(
    services: Services, account: Account, owner: str, member: str
) -> None:
    await happened(services, account, "secret@example.com")
    tab = await opened(member)
    page = await page_of(tab)
    assert (page.allowed, page.lines, page.range) == (False, [], "")
    assert page.contact == account.identity.email
    assert "secret@" not in tab.sent()
    assert not (await tab.state(ViewerState)).sees_activity


async def test_nobody_is_sent_to_sign_in_and_back(services: Services) -> None:
    tab = Tab(None, path=ACTIVITY)
    assert redirect_of(await tab.send(ActivityState.load)) == "/sign-in?next=%2Fsettings%2Factivity"


async def test_another_teams_owner_sees_nothing_of_it(
    services: Services, account: Account, stranger: str
) -> None:
    await happened(services, account, "secret@example.com")
    tab = await opened(stranger)
    await tab.send(ActivityState.search, "secret")
    assert "secret@example.com" not in tab.sent()


async def test_who_loses_the_role_sees_nothing_more_at_the_next_look(
    services: Services, account: Account, owner: str
) -> None:
    tab = await opened(owner)
    assert account.identity.user_id is not None
    await add_member(services.database, account.team_id, account.identity.user_id, Role.MEMBER)
    await tab.send(ActivityState.look_again)
    page = await page_of(tab)
    assert (page.allowed, page.lines) == (False, [])


# ---------------------------------------------------------------- asking and turning


async def test_pages_are_turned_back_and_forth(
    services: Services, account: Account, owner: str
) -> None:
    await happened(services, account, *(f"{n}@example.com" for n in range(LINES_A_PAGE * 2)))
    tab = await opened(owner)
    page = await page_of(tab)
    assert page.range == f"1–{LINES_A_PAGE} of 51"
    assert (page.has_newer, page.has_older) == (False, True)
    first = sentences(page)
    await tab.send(ActivityState.show_newer)
    assert sentences(page) == first
    await tab.send(ActivityState.show_older)
    await tab.send(ActivityState.show_older)
    assert page.range == "51–51 of 51"
    assert sentences(page) == ["Signed in"]
    assert (page.has_newer, page.has_older) == (True, False)
    await tab.send(ActivityState.show_older)
    assert page.range == "51–51 of 51"
    await tab.send(ActivityState.show_newer)
    await tab.send(ActivityState.show_newer)
    assert sentences(page) == first


async def test_what_comes_is_shown_on_the_newest_page_and_moves_no_older_one(
    services: Services, account: Account, owner: str
) -> None:
    await happened(services, account, *(f"{n}@example.com" for n in range(LINES_A_PAGE + 5)))
    tab = await opened(owner)
    page = await page_of(tab)
    await happened(services, account, "new@example.com")
    await tab.send(ActivityState.look_again)
    assert sentences(page)[0] == "new@example.com became billing manager"
    await tab.send(ActivityState.show_older)
    older = sentences(page)
    await happened(services, account, "newer@example.com")
    await tab.send(ActivityState.look_again)
    assert sentences(page) == older


async def test_the_log_is_narrowed_down_by_kind_and_person(
    services: Services, account: Account, owner: str
) -> None:
    await happened(services, account, "ben@example.com", "zoe@example.com")
    tab = await opened(owner)
    page = await page_of(tab)
    await tab.send(ActivityState.choose_kind, "people")
    assert (len(page.lines), page.range, page.narrowed) == (2, "2 entries", True)
    await tab.send(ActivityState.search, "  zoe@ ")
    assert sentences(page) == ["zoe@example.com became billing manager"]
    assert page.range == "1 entry"
    assert page.export_url.endswith("/api/activity.csv?kind=people&person=zoe%40")
    await tab.send(ActivityState.search, "nobody")
    assert (page.lines, page.range) == ([], "")
    answer: Any = await tab.send(ActivityState.show_everything)
    assert HEADING.replace("-", "_") in str(answer)
    assert (len(page.lines), page.narrowed) == (3, False)
    assert page.export_url.endswith("/api/activity.csv")


@pytest.mark.parametrize("kind", ["", "unknown", "__class__", "x" * 10_000])
async def test_a_kind_that_does_not_exist_is_all_kinds(
    services: Services, account: Account, owner: str, kind: str
) -> None:
    tab = await opened(owner)
    await tab.send(ActivityState.choose_kind, kind)
    page = await page_of(tab)
    assert (page.kind, len(page.lines)) == ("", 1)


@pytest.mark.parametrize("person", ["%", "_", "\\", "'", "\x00", "\ud800", "x" * 10_000, "é"])
async def test_no_search_does_harm(
    services: Services, account: Account, owner: str, person: str
) -> None:
    tab = await opened(owner)
    await tab.send(ActivityState.search, person)
    assert (await page_of(tab)).lines == []


async def test_asking_for_something_else_begins_at_its_newest_page(
    services: Services, account: Account, owner: str
) -> None:
    await happened(services, account, *(f"{n}@example.com" for n in range(LINES_A_PAGE + 5)))
    tab = await opened(owner)
    await tab.send(ActivityState.show_older)
    await tab.send(ActivityState.choose_kind, "sign-ins")
    page = await page_of(tab)
    assert (page.has_newer, page.range) == (False, "1 entry")


# ---------------------------------------------------------------- words


def entry(action: AuditAction, target: str = "", **details: Any) -> AuditEntry:
    """Return an entry of a moment ago."""
    return AuditEntry(
        id=1,
        at=NOW - timedelta(minutes=2),
        actor_kind="user",
        actor_label="ada@example.com",
        action=action,
        target=target,
        details=details,
    )


TWO_CHANGES = dump_changes(
    (
        QuantityChanged(subscription_id="s", plan="Team", unit_label="seat", before=1, after=24),
        QuantityChanged(subscription_id="s", plan="Team", unit_label=None, before=1, after=2),
    )
)


@pytest.mark.parametrize(
    ("made", "sentence", "detail"),
    [
        (entry(AuditAction.SIGN_IN, method="oidc"), "Signed in", "With single sign-on"),
        (entry(AuditAction.SIGN_IN_FAILED), "Sign-in failed", ""),
        (entry(AuditAction.SIGN_IN_FAILED, method="oidc"), "Sign-in failed", "With single sign-on"),
        (entry(AuditAction.SIGN_OUT), "Signed out", ""),
        (entry(AuditAction.SIGN_OUT, replaced=True), "Signed out", "By signing in anew"),
        (
            entry(AuditAction.IDENTITY_LINKED, "b@x.example", issuer="https://id.example"),
            "Single sign-on for b@x.example",
            "At https://id.example",
        ),
        (
            entry(AuditAction.SIGNED_OUT_EVERYWHERE, sessions=1),
            "Signed out everywhere",
            "1 session ended",
        ),
        (
            entry(AuditAction.SIGNED_OUT_EVERYWHERE, sessions=3),
            "Signed out everywhere",
            "3 sessions ended",
        ),
        (
            entry(AuditAction.ROLE_CHANGED, "b@x.example", **{"from": "member", "to": "owner"}),
            "b@x.example became owner",
            "Was member",
        ),
        (
            entry(AuditAction.MEMBER_JOINED, "{0}@x.example", role="member"),
            "{0}@x.example joined",
            "As member",
        ),
        (entry(AuditAction.INVITATION_MADE, "", role="owner"), "Somebody invited", "As owner"),
        (
            entry(AuditAction.TOKEN_CREATED, "Backend", scopes=["portal", "read"]),
            "API token “Backend” created",
            "Scopes portal, read",
        ),
        (
            entry(AuditAction.TOKEN_CREATED, "Backend", scopes=["read"]),
            "API token “Backend” created",
            "Scope read",
        ),
        (
            entry(AuditAction.PORTAL_VISIT, visit="v", flow="subscription_update"),
            "Billing portal opened",
            "Update plan",
        ),
        (entry(AuditAction.CHECKOUT, "Pro", visit="v"), "Checkout opened", "Pro"),
        (
            entry(AuditAction.VISIT_SETTLED, kind="checkout", changes=[]),
            "Nothing changed",
            "Checkout",
        ),
        (
            entry(AuditAction.VISIT_SETTLED, kind="portal", changes=TWO_CHANGES),
            "Seats set to 24",
            "Portal visit",
        ),
        (
            entry(AuditAction.EVENTS_REPLAYED, "evt_1", type="invoice.paid"),
            "Event evt_1 replayed",
            "invoice.paid",
        ),
    ],
)
def test_an_entry_is_told_in_words(made: AuditEntry, sentence: str, detail: str) -> None:
    [line] = activity_lines([made], AMERICAN, NOW)
    assert (line.sentence, line.detail) == (sentence, detail)
    assert (line.who, line.when) == ("ada@example.com", "2:30\u202fPM")


def test_several_changes_of_one_trip_stand_together() -> None:
    made = entry(AuditAction.VISIT_SETTLED, kind="portal", changes=TWO_CHANGES)
    [line] = activity_lines([made], AMERICAN, NOW)
    assert line.more == ["Quantity set to 2"]


@pytest.mark.parametrize("action", AuditAction)
def test_every_action_has_words_and_an_icon_also_without_details(action: AuditAction) -> None:
    [line] = activity_lines([entry(action)], AMERICAN, NOW)
    assert line.sentence[0].isupper() or not line.sentence[0].isalpha()
    assert line.icon in ACTIVITY_ICONS


@pytest.mark.parametrize(
    "made",
    [
        entry(AuditAction.VISIT_SETTLED, "Pro", changes=[{"kind": "of another version"}]),
        entry(AuditAction.SIGN_IN, method="by carrier pigeon"),
        AuditEntry(id=1, at=NOW, actor_kind="user", action="team_renamed", target="Acme"),
    ],
)
def test_what_another_version_wrote_is_told_by_its_name(made: AuditEntry) -> None:
    [line] = activity_lines([made], AMERICAN, NOW)
    assert line.sentence == made.action.replace("_", " ").capitalize()
    assert line.detail == made.target


def test_from_where_it_was_done_is_said_and_what_did_it() -> None:
    made = entry(AuditAction.SIGN_OUT)
    made.address, made.actor_kind, made.actor_label = "192.0.2.7", "token", "Backend"
    [line] = activity_lines([made], AMERICAN, NOW)
    assert (line.detail, line.who) == ("From 192.0.2.7", "API token “Backend”")


@pytest.mark.parametrize(
    ("ago", "american", "german"),
    [
        (timedelta(minutes=2), "2:30\u202fPM", "14:30"),
        (timedelta(hours=20), "Yesterday, 6:32\u202fPM", "Yesterday, 18:32"),
        (timedelta(days=7), "Dec 3, 2026, 2:32\u202fPM", "03.12.2026, 14:32"),
    ],
)
def test_when_is_said_as_the_reader_writes_it(ago: timedelta, american: str, german: str) -> None:
    assert activity_when(NOW - ago, AMERICAN, NOW) == american
    assert activity_when(NOW - ago, Reader(Locale.parse("de"), ZoneInfo("UTC")), NOW) == german


def test_today_is_the_readers_own() -> None:
    midnight_there = datetime(2026, 12, 10, 15, 30, tzinfo=UTC)
    there = Reader(Locale.parse("en_GB"), ZoneInfo("Asia/Tokyo"))
    assert activity_when(NOW, there, midnight_there) == "Yesterday, 23:32"


@pytest.mark.parametrize(
    ("first", "shown", "total", "text"),
    [
        (1, 0, 0, ""),
        (1, 1, 1, "1 entry"),
        (1, 25, 25, "25 entries"),
        (1, 25, 132, "1–25 of 132"),
        (1001, 25, 1_234, "1,001–1,025 of 1,234"),
        (26, 25, 10_001, "26–50 of more than 10,000"),
    ],
)
def test_which_entries_are_shown_is_said(first: int, shown: int, total: int, text: str) -> None:
    assert activity_range(first, shown, total, 10_001, AMERICAN) == text


def test_an_entry_is_not_older_than_it_is() -> None:
    moment = utc_now()
    assert activity_when(moment, AMERICAN, moment) == AMERICAN.time(moment)
