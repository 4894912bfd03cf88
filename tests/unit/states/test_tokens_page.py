"""The page of API tokens: what it tells whom, and where a new token is and is not."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from reflex.event import EventSpec
from sqlalchemy import update
from sqlmodel import select

from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.sessions import identify, sign_in_as, sign_out
from billing_ui.accounts.tokens import active_tokens, identify_token
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import ApiToken, Role
from billing_ui.states.tokens import LIST_HEADING, NEW_TOKEN, TokensState
from tests.unit.billing.factories import Account, new_member
from tests.unit.states.tab import Tab, redirect_of

PATH = "/settings/tokens"
FORM = {"name": "Product backend", "portal": "on", "read": "on", "lifetime": "90"}


async def opened(token: str | None, **how: Any) -> tuple[Tab, TokensState]:
    """Return a tab with the page open, and its state."""
    tab = Tab(token, path=PATH, **how)
    await tab.send(TokensState.load)
    return tab, await tab.state(TokensState)


async def made(tab: Tab, **form: str) -> str:
    """Make a token on the page and return it."""
    events: Any = await tab.send(TokensState.create, FORM | form)
    written = [event for event in events if event.handler.fn.__qualname__ == "_set_value"]
    [arguments] = [{str(name): str(value) for name, value in event.args} for event in written]
    assert arguments["ref"] == f'"ref_{NEW_TOKEN.replace("-", "_")}"'
    token: str = json.loads(arguments["value"])
    return token


def focused(event: Any) -> str | None:
    """Return what an event gives the focus to."""
    assert isinstance(event, EventSpec)
    if event.handler.fn.__qualname__ != "_set_focus":
        return None
    [(_, value)] = event.args
    return str(json.loads(str(value)))


async def test_an_owner_makes_a_token_that_the_state_never_holds(
    services: Services, owner: str, account: Account
) -> None:
    tab, state = await opened(owner)
    assert (state.lines, state.count, state.count_word) == ([], "0", "tokens")
    await tab.send(TokensState.begin)
    assert state.creating
    token = await made(tab)
    assert (state.creating, state.made) == (False, "Product backend")
    assert token not in tab.sent()
    assert token not in str(tab.root.__getstate__())
    identity = await identify_token(services.database, token)
    assert identity is not None
    assert (identity.team_id, identity.scopes) == (
        account.identity.team_id,
        {Scope.PORTAL, Scope.READ},
    )
    await tab.send(TokensState.look_again)
    [line] = state.lines
    assert (line.name, line.hint, line.scopes) == (
        "Product backend",
        f"bui_…{token[-4:]}",
        ["portal", "read"],
    )
    assert (line.used, state.count, state.count_word) == ("Just now", "1", "token")


async def test_the_one_who_made_it_is_kept_with_it(services: Services, owner: str) -> None:
    tab, _ = await opened(owner)
    await made(tab)
    identity = await identify(services.database, owner)
    async with services.database.read() as session:
        token = (await session.exec(select(ApiToken))).one()
    assert identity is not None
    assert token.created_by == identity.user_id


async def test_opening_the_page_anew_forgets_what_was_begun(services: Services, owner: str) -> None:
    tab, state = await opened(owner)
    await made(tab)
    await tab.send(TokensState.load)
    assert state.made == ""
    await tab.send(TokensState.begin)
    await tab.send(TokensState.create, FORM)
    assert "already" in state.problem
    await tab.send(TokensState.load)
    assert (state.creating, state.problem) == (False, "")


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"name": " "}, "Give the token a name"),
        ({"portal": "", "read": ""}, "Choose at least one scope."),
        ({"lifetime": "4"}, "Choose when the token expires."),
        ({"lifetime": "-1"}, "Choose when the token expires."),
        ({"name": "x" * 200}, "at most 100 characters"),
    ],
)
async def test_what_cannot_be_made_is_said(
    form: dict[str, str], problem: str, services: Services, owner: str, account: Account
) -> None:
    tab, state = await opened(owner)
    await tab.send(TokensState.begin)
    await tab.send(TokensState.create, FORM | form)
    assert problem in state.problem
    assert state.creating
    assert account.identity.team_id is not None
    assert list(await active_tokens(services.database, account.identity.team_id)) == []


async def test_a_token_can_last_for_ever_or_for_a_time(services: Services, owner: str) -> None:
    tab, state = await opened(owner, language="de")
    await made(tab, name="Ever", lifetime="")
    await made(tab, name="Month", lifetime="30")
    month, ever = state.lines
    in_a_month = utc_now() + timedelta(days=30)
    assert (ever.expires, ever.expires_title) == ("Never expires", "")
    assert str(in_a_month.year) in month.expires
    assert month.expires.startswith(f"{in_a_month.day}. ")


async def test_last_use_is_told_as_the_reader_tells_time(services: Services, owner: str) -> None:
    tab, state = await opened(owner)
    await made(tab)
    for age, words in (
        (timedelta(minutes=2, seconds=30), "2 min ago"),
        (timedelta(hours=3, seconds=30), "3 h ago"),
    ):
        async with services.database.write() as session:
            await session.exec(update(ApiToken).values(last_used_at=utc_now() - age))
        await tab.send(TokensState.look_again)
        assert state.lines[0].used == words
        assert state.lines[0].used_title


async def test_revoking_takes_the_row_and_gives_the_heading_the_focus(
    services: Services, owner: str
) -> None:
    tab, state = await opened(owner)
    token = await made(tab)
    answer = await tab.send(TokensState.revoke, state.lines[0].key)
    assert (state.lines, state.revoked, state.made) == ([], "Product backend", "")
    assert focused(answer) == f"ref_{LIST_HEADING.replace('-', '_')}"
    assert await identify_token(services.database, token) is None


@pytest.mark.parametrize("key", ["", "nonsense", "0a1b2c3d-0000-4000-8000-000000000000"])
async def test_what_is_not_in_the_list_is_not_revoked(
    key: str, services: Services, owner: str
) -> None:
    tab, state = await opened(owner)
    token = await made(tab)
    await tab.send(TokensState.revoke, key)
    assert len(state.lines) == 1
    assert await identify_token(services.database, token) is not None


async def test_nobody_touches_another_teams_tokens(
    services: Services, owner: str, stranger: str
) -> None:
    ours, state = await opened(owner)
    token = await made(ours)
    theirs, their_state = await opened(stranger)
    assert their_state.lines == []
    await theirs.send(TokensState.revoke, state.lines[0].key)
    assert await identify_token(services.database, token) is not None
    assert "Product backend" not in theirs.sent()


@pytest.mark.parametrize("role", [Role.BILLING_MANAGER, Role.MEMBER])
async def test_only_an_owner_sees_or_touches_tokens(
    role: Role, services: Services, owner: str, account: Account
) -> None:
    ours, state = await opened(owner)
    token = await made(ours)
    person = await new_member(services, account, role)
    tab, theirs = await opened(await sign_in_as(services.database, person.user_id))
    assert (theirs.allowed, theirs.lines) == (False, [])
    assert theirs.contact == account.identity.email
    await tab.send(TokensState.begin)
    assert not theirs.creating
    await tab.send(TokensState.create, FORM | {"name": "Mine"})
    await tab.send(TokensState.revoke, state.lines[0].key)
    assert "Product backend" not in tab.sent()
    assert isinstance(account.identity.team_id, UUID)
    [left] = await active_tokens(services.database, account.identity.team_id)
    assert left.name == "Product backend"
    assert await identify_token(services.database, token) is not None


async def test_a_revoked_session_is_sent_to_sign_in_whatever_it_asks(
    services: Services, owner: str
) -> None:
    tab, state = await opened(owner)
    await made(tab)
    key = state.lines[0].key
    await sign_out(services.database, owner)
    for handler, arguments in (
        (TokensState.load, ()),
        (TokensState.look_again, ()),
        (TokensState.begin, ()),
        (TokensState.create, (FORM,)),
        (TokensState.done, ()),
        (TokensState.give_up, ()),
        (TokensState.revoke, (key,)),
    ):
        answer = await tab.send(handler, *arguments)
        assert redirect_of(answer) == "/sign-in?next=%2Fsettings%2Ftokens"
        assert "Product backend" not in tab.sent()
    async with services.database.read() as session:
        assert (await session.exec(select(ApiToken))).one().revoked_at is None
