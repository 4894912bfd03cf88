"""The team page: what each role sees and can do, and that what a browser asks for is only a wish."""

import json
from dataclasses import replace
from uuid import uuid4

import pytest

from billing_ui.accounts.members import MEMBERS_A_PAGE
from billing_ui.accounts.sessions import Identity, identify, sign_in_as
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.billing.services import Services
from billing_ui.models import Role
from billing_ui.states.links import InvitationState, ResetState
from billing_ui.states.team import TeamState
from billing_ui.states.viewer import ViewerState
from tests.unit.accounts.people import PASSWORD
from tests.unit.billing.factories import Account, new_member
from tests.unit.states.tab import Tab, redirect_of

TEAM = "/settings/team"


async def opened(token: str) -> tuple[Tab, TeamState]:
    """Open the page."""
    tab = Tab(token, path=TEAM)
    await tab.send(TeamState.load)
    return tab, await tab.state(TeamState)


def link_of(events: object) -> str:
    """Return the link that the browser is told to write into its field."""
    assert isinstance(events, list)
    [written, focused] = events
    assert (written.handler.fn.__qualname__, focused.handler.fn.__qualname__) == (
        "_set_value",
        "_set_focus",
    )
    link: str = json.loads({str(name): str(value) for name, value in written.args}["value"])
    return link


async def who(services: Services, token: str) -> Identity:
    """Return whose token it is."""
    identity = await identify(services.database, token)
    assert identity is not None
    return identity


async def test_an_owner_sees_who_is_in_the_team_and_what_each_is(
    services: Services, owner: str, member: str
) -> None:
    _, state = await opened(owner)
    theirs = await who(services, member)
    own, other = state.members
    assert (own.me, own.note, own.changeable) == (True, "Last owner", False)
    assert (other.email, other.role_word, other.changeable) == (theirs.email, "Member", True)
    assert (state.manages, state.may_leave, state.total, state.range) == (True, False, 2, "")


async def test_a_member_sees_the_people_and_nothing_to_press_but_leaving(
    services: Services, account: Account, owner: str, member: str
) -> None:
    tab, owners = await opened(owner)
    await tab.send(TeamState.invite, {"email": "sales@example.com", "role": "owner"})
    assert [each.who for each in owners.invitations] == ["sales@example.com"]
    tab, state = await opened(member)
    assert len(state.members) == 2
    assert not any(each.changeable or each.resettable for each in state.members)
    assert (state.manages, state.may_leave, state.invitations) == (False, True, [])
    assert "sales@example.com" not in tab.sent()


@pytest.mark.parametrize(
    "wish", ["", "nonsense", "stranger", "0a1b2c3d-0000-4000-8000-000000000000"]
)
async def test_people_of_other_teams_and_of_none_are_left_alone(
    services: Services, owner: str, stranger: str, wish: str
) -> None:
    theirs = await who(services, stranger)
    wish = str(theirs.user_id) if wish == "stranger" else wish
    tab, state = await opened(owner)
    for handler, arguments in (
        (TeamState.change_role, (wish, "member")),
        (TeamState.remove, (wish,)),
        (TeamState.make_password_link, (wish,)),
    ):
        await tab.send(handler, *arguments)
        assert state.problem.title == "They are no longer in the team."
    assert (await who(services, stranger)).role is Role.OWNER
    assert theirs.email not in tab.sent()


async def test_what_only_an_owner_may_do_is_refused_to_a_member_who_sends_it(
    services: Services, account: Account, owner: str, member: str
) -> None:
    tab, state = await opened(member)
    owner_id = str((await who(services, owner)).user_id)
    member_id = str((await who(services, member)).user_id)
    for handler, arguments in (
        (TeamState.change_role, (member_id, "owner")),
        (TeamState.remove, (owner_id,)),
        (TeamState.make_password_link, (owner_id,)),
        (TeamState.invite, ({"email": "", "role": "owner"},)),
        (TeamState.withdraw, (str(uuid4()),)),
    ):
        state.problem = replace(state.problem, title="")
        await tab.send(handler, *arguments)
        assert state.problem.title == "Only an owner can change who is in the team."
        assert state.made.title == ""
    assert (await who(services, member)).role is Role.MEMBER


async def test_a_new_role_is_there_at_once_and_a_word_that_is_none_is_the_least(
    services: Services, owner: str, member: str
) -> None:
    tab, state = await opened(owner)
    other = str((await who(services, member)).user_id)
    await tab.send(TeamState.change_role, other, "billing_manager")
    assert state.members[1].role_word == "Billing manager"
    await tab.send(TeamState.change_role, other, "emperor")
    assert state.members[1].role_word == "Member"


async def test_the_last_owner_is_told_why_they_stay(services: Services, owner: str) -> None:
    tab, state = await opened(owner)
    own = str((await who(services, owner)).user_id)
    for handler, arguments in (
        (TeamState.change_role, (own, "member")),
        (TeamState.remove, (own,)),
        (TeamState.leave, ()),
    ):
        await tab.send(handler, *arguments)
        assert state.problem.title == "A team needs an owner."
        assert state.problem.detail == "Make somebody else an owner first."


async def test_whoever_leaves_sees_nothing_of_the_team_any_more(
    services: Services, member: str
) -> None:
    tab, state = await opened(member)
    assert "Northwind Labs" in tab.sent()
    await tab.send(TeamState.leave)
    assert (state.in_team, state.members) == (False, [])
    assert "Northwind Labs" not in tab.sent()


async def test_many_people_are_shown_a_page_at_a_time(
    services: Services, account: Account, owner: str
) -> None:
    for _ in range(MEMBERS_A_PAGE):
        await new_member(services, account, Role.MEMBER)
    tab, state = await opened(owner)
    assert (state.range, state.has_next, state.has_previous) == ("1–20 of 21", True, False)
    await tab.send(TeamState.show_next)
    assert (state.range, state.has_next, state.has_previous) == ("21 of 21", False, True)
    await tab.send(TeamState.show_next)
    assert state.range == "21 of 21"
    await tab.send(TeamState.show_previous)
    await tab.send(TeamState.show_previous)
    assert state.range == "1–20 of 21"


async def test_a_link_is_shown_once_and_not_to_whoever_may_not_make_one_any_more(
    services: Services, account: Account, owner: str
) -> None:
    other = await new_member(services, account, Role.OWNER)
    assert other.user_id is not None
    tab, state = await opened(await sign_in_as(services.database, other.user_id))
    link = link_of(await tab.send(TeamState.invite, {"email": "", "role": "member"}))
    assert link.startswith("http://localhost:3000/invitation#")
    assert state.made.title == "Invitation for whoever has the link"
    assert link.partition("#")[2] not in tab.sent()
    await tab.send(TeamState.look_again)
    assert state.made.title
    await add_member(services.database, account.team_id, other.user_id, Role.MEMBER)
    await tab.send(TeamState.show_next)
    assert state.made.title == ""


async def test_switching_looks_at_my_other_team_and_never_at_somebody_elses(
    services: Services, owner: str, stranger: str
) -> None:
    tab, state = await opened(owner)
    theirs = await who(services, stranger)
    mine = await who(services, owner)
    for wish in (str(theirs.team_id), str(uuid4()), "nonsense", ""):
        await tab.send(ViewerState.switch_team, wish)
        assert (await who(services, owner)).team_id == mine.team_id
    second = await create_team(services.database, "Alpha")
    assert mine.user_id is not None
    await add_member(services.database, second.id, mine.user_id, Role.MEMBER)
    await tab.send(TeamState.load)
    viewer = await tab.state(ViewerState)
    assert [(team.name, team.here) for team in viewer.teams] == [
        ("Alpha", False),
        ("Northwind Labs", True),
    ]
    await tab.send(ViewerState.switch_team, str(second.id))
    await tab.send(TeamState.load)
    assert (viewer.team_name, state.team_name, state.manages) == ("Alpha", "Alpha", False)


async def test_nobody_is_sent_to_sign_in(services: Services) -> None:
    tab = Tab(None, path=TEAM)
    assert redirect_of(await tab.send(TeamState.load)) == "/sign-in?next=%2Fsettings%2Fteam"
    await tab.send(ViewerState.switch_team, str(uuid4()))


# ---------------------------------------------------------------- the pages of the links


async def test_an_invitation_says_what_it_is_for_and_what_to_do(
    services: Services, owner: str, stranger: str, member: str
) -> None:
    tab, _ = await opened(owner)
    made = await tab.send(TeamState.invite, {"email": "", "role": "billing_manager"})
    token = link_of(made).partition("#")[2]
    for asker, way in ((None, "sign_up"), (stranger, "accept"), (member, "member_already")):
        visitor = Tab(asker, path="/invitation")
        await visitor.send(InvitationState.load)
        shown = await visitor.state(InvitationState)
        assert (shown.asked, shown.looked) == (1, False)
        await visitor.send(InvitationState.look, token)
        assert (shown.team_name, shown.role, shown.way) == (
            "Northwind Labs",
            "billing manager",
            way,
        )
        assert token not in visitor.sent()
    for wrong in ("", token[:-1], "x" * 100_000, "\udcff"):
        await visitor.send(InvitationState.look, wrong)
        assert (shown.problem.title, shown.team_name) == ("This link isn't valid.", "")


async def test_a_password_link_says_whose_it_is(
    services: Services, account: Account, owner: str
) -> None:
    user = await create_user(services.database, "ada@example.com", PASSWORD, "Ada")
    await add_member(services.database, account.team_id, user.id, Role.MEMBER)
    tab, state = await opened(owner)
    made = await tab.send(TeamState.make_password_link, str(user.id))
    assert state.made.title == "Password link for ada@example.com"
    page, _, token = link_of(made).rpartition("#")
    assert page == "http://localhost:3000/reset-password"
    visitor = Tab(None, path="/reset-password?error=common")
    await visitor.send(ResetState.load)
    await visitor.send(ResetState.look, token)
    shown = await visitor.state(ResetState)
    assert shown.email == "ada@example.com"
    assert shown.failure.words.startswith("Many people use this password")
    assert shown.failure.field == "password"
    await visitor.send(ResetState.look, "altered")
    assert (shown.email, shown.problem.title) == ("", "This link isn't valid.")
