"""The account page: my sessions and my password, and nobody else's."""

from uuid import uuid4

import pytest

from billing_ui.accounts.clients import client_bound
from billing_ui.accounts.sessions import identify, sign_in_as, start_session
from billing_ui.billing.services import Services
from billing_ui.models import SignInMethod, User
from billing_ui.states.devices import device_of
from billing_ui.states.my_sessions import AccountState
from tests.unit.billing.factories import Account
from tests.unit.states.tab import Tab, redirect_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def another_session(services: Services, account: Account) -> str:
    """Return the token of a new session of the team's owner."""
    assert account.identity.user_id is not None
    return await sign_in_as(services.database, account.identity.user_id)


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
            " Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like"
            " Gecko) Version/26.0 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML,"
            " like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1",
            "Chrome on iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko)"
            " Chrome/140.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("python-httpx/0.28.1", "Python program"),
        ("", "Unknown browser"),
        ("<script>alert(1)</script>", "Unknown browser"),
    ],
)
def test_a_browser_is_called_what_its_person_calls_it(user_agent: str, device: str) -> None:
    assert device_of(user_agent) == device


async def test_my_sessions_are_shown_with_this_one_marked(
    services: Services, account: Account
) -> None:
    with client_bound("203.0.113.7", FIREFOX):
        token = await another_session(services, account)
    tab = Tab(token, path="/settings/account")
    await tab.send(AccountState.load)
    state = await tab.state(AccountState)
    this = state.sessions[0]
    assert (this.device, this.this) == ("Firefox on Linux", True)
    assert this.about.startswith("203.0.113.7 · signed in as a demo account on ")
    assert not state.has_password


async def test_i_sign_out_one_of_mine_and_nobody_elses(
    services: Services, account: Account, owner: str, stranger: str
) -> None:
    other = await another_session(services, account)
    tab = Tab(owner, path="/settings/account")
    await tab.send(AccountState.load)
    state = await tab.state(AccountState)
    theirs = await identify(services.database, stranger)
    assert theirs is not None
    for wish in (str(theirs.session_id), str(uuid4()), "nonsense"):
        await tab.send(AccountState.sign_out, wish)
    assert await identify(services.database, stranger) is not None
    mine = await identify(services.database, other)
    assert mine is not None
    await tab.send(AccountState.sign_out, str(mine.session_id))
    assert await identify(services.database, other) is None
    assert str(mine.session_id) not in [each.id for each in state.sessions]


async def test_after_signing_out_everywhere_the_page_is_blank_and_leaves(
    services: Services, owner: str
) -> None:
    tab = Tab(owner, path="/settings/account")
    await tab.send(AccountState.load)
    await tab.send(AccountState.sign_out_everywhere)
    state = await tab.state(AccountState)
    assert (state.sessions, state.email) == ([], "")
    assert state.departure.address == "/sign-in?next=%2Fsettings%2Faccount"
    assert redirect_of(await tab.send(AccountState.load)) == state.departure.address


async def test_whom_the_product_let_in_sees_and_ends_nothing_of_the_account(
    services: Services, account: Account, owner: str
) -> None:
    async with services.database.write() as session:
        user = await session.get_one(User, account.identity.user_id)
        token = await start_session(session, user, SignInMethod.ENTRY, team_id=account.team_id)
    tab = Tab(token, path="/settings/account")
    await tab.send(AccountState.load)
    state = await tab.state(AccountState)
    assert (state.entered, state.sessions, state.has_password) == (True, [], False)
    whole = await identify(services.database, owner)
    assert whole is not None
    await tab.send(AccountState.sign_out, str(whole.session_id))
    await tab.send(AccountState.sign_out_everywhere)
    assert state.problem == "Sign in here to do this."
    assert await identify(services.database, owner) is not None


async def test_what_came_of_the_password_form_is_said(services: Services, owner: str) -> None:
    tab = Tab(owner, path="/settings/account?error=current")
    await tab.send(AccountState.load)
    state = await tab.state(AccountState)
    assert (state.failure.words, state.failure.field) == (
        "Your present password is another one.",
        "current",
    )
    tab.sign_in(owner, path="/settings/account?said=password&error=%3Cscript%3E")
    await tab.send(AccountState.load)
    assert (state.failure.words, state.said) == (
        "",
        "Your password is changed. All your other sessions have ended.",
    )
