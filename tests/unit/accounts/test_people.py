"""Users, teams and the one table of what each role may do."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlmodel import select

from billing_ui.accounts.demo import DEMO_ACCOUNTS
from billing_ui.accounts.errors import (
    AmbiguousTeam,
    EmailTaken,
    InvalidEmail,
    NoTeam,
    UnknownTeam,
    UnknownUser,
    UnusablePassword,
)
from billing_ui.accounts.permissions import (
    PERMISSIONS,
    SCOPE_ACTIONS,
    Action,
    Scope,
    require,
)
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.teams import (
    add_member,
    create_team,
    enrol,
    find_team,
    owner_contact,
)
from billing_ui.accounts.users import create_user, normalise_email, reset_password
from billing_ui.database import Database
from billing_ui.models import Membership, Role, Team, User
from billing_ui.payments.types import NotAllowed

PASSWORD = "correct horse"


# ---------------------------------------------------------------- users


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada.Lovelace+billing@Example.COM\n", "ada.lovelace+billing@example.com"),
        ("zoë@exämple.de", "zoë@exämple.de"),
    ],
)
def test_an_email_is_kept_in_one_form(given: str, stored: str) -> None:
    assert normalise_email(given) == stored


@pytest.mark.parametrize(
    "given",
    [
        *("", "ada", "@example.com", "ada@", "a@b@c", "a b@example.com", "a\x00@example.com"),
        *("a" * 65 + "@example.com", "a@" + "b" * 256),
    ],
)
def test_what_cannot_be_an_email_is_refused(given: str) -> None:
    with pytest.raises(InvalidEmail):
        normalise_email(given)


async def test_the_same_email_makes_no_second_user(database: Database) -> None:
    await create_user(database, "ada@example.com", PASSWORD)
    with pytest.raises(EmailTaken):
        await create_user(database, "ADA@example.com", PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
async def test_a_password_that_is_too_short_or_too_long_is_refused(
    database: Database, password: str
) -> None:
    with pytest.raises(UnusablePassword, match="8 to 256 characters"):
        await create_user(database, "ada@example.com", password)


async def test_the_password_is_stored_as_an_argon2_hash(database: Database) -> None:
    ada = await create_user(database, "ada@example.com", PASSWORD)
    assert ada.password_hash is not None
    assert ada.password_hash.startswith("$argon2id$")


async def test_nobody_can_be_given_a_password_who_does_not_exist(database: Database) -> None:
    with pytest.raises(UnknownUser):
        await reset_password(database, "ada@example.com", PASSWORD)


# ---------------------------------------------------------------- teams


async def roles(database: Database, user: User) -> list[tuple[UUID, Role]]:
    """Return the teams somebody is in, and as what."""
    query = select(Membership.team_id, Membership.role).where(Membership.user_id == user.id)
    async with database.read() as session:
        return [(team_id, Role(role)) for team_id, role in (await session.exec(query)).all()]


async def test_enrolling_creates_the_user_and_the_team_together(database: Database) -> None:
    made = await enrol(database, "Ada@example.com", PASSWORD, "Ada", " Acme ", Role.OWNER)
    assert made.team_created
    assert made.team.name == "Acme"
    assert await roles(database, made.user) == [(made.team.id, Role.OWNER)]


@pytest.mark.parametrize("by", ["name", "id"])
async def test_enrolling_into_a_team_that_exists_joins_it(database: Database, by: str) -> None:
    team = await create_team(database, "Acme")
    named = team.name if by == "name" else str(team.id)
    made = await enrol(database, "ada@example.com", PASSWORD, "", named, Role.MEMBER)
    assert not made.team_created
    assert made.team.id == team.id


async def test_enrolling_someone_who_exists_leaves_no_team_behind(database: Database) -> None:
    await create_user(database, "ada@example.com", PASSWORD)
    with pytest.raises(EmailTaken):
        await enrol(database, "ada@example.com", PASSWORD, "", "Acme", Role.OWNER)
    async with database.read() as session:
        assert (await session.exec(select(Team))).all() == []


async def test_an_id_of_no_team_is_not_taken_for_a_name(database: Database) -> None:
    with pytest.raises(UnknownTeam):
        await enrol(database, "ada@example.com", PASSWORD, "", str(uuid4()), Role.OWNER)
    async with database.read() as session:
        assert (await session.exec(select(User))).all() == []


async def test_a_name_that_several_teams_have_is_not_guessed(database: Database) -> None:
    first = await create_team(database, "Acme")
    await create_team(database, "Acme")
    with pytest.raises(AmbiguousTeam):
        await find_team(database, "Acme")
    with pytest.raises(AmbiguousTeam):
        await enrol(database, "ada@example.com", PASSWORD, "", "Acme", Role.OWNER)
    assert (await find_team(database, str(first.id))).id == first.id
    with pytest.raises(UnknownTeam):
        await find_team(database, "acme")


async def test_adding_a_member_again_changes_the_role(database: Database) -> None:
    ada = await create_user(database, "ada@example.com", None)
    team = await create_team(database, "Acme")
    await add_member(database, team.id, ada.id, Role.MEMBER)
    await add_member(database, team.id, ada.id, Role.OWNER)
    assert await roles(database, ada) == [(team.id, Role.OWNER)]


async def test_members_ask_the_owner_who_joined_first(database: Database) -> None:
    team = await create_team(database, "Acme")
    assert await owner_contact(database, team.id) is None
    for email, role in (
        ("member@example.com", Role.MEMBER),
        ("first@example.com", Role.OWNER),
        ("second@example.com", Role.OWNER),
    ):
        user = await create_user(database, email, None)
        await add_member(database, team.id, user.id, role)
    assert await owner_contact(database, team.id) == "first@example.com"


# ---------------------------------------------------------------- permissions


def _identity(role: Role | None) -> Identity:
    team_id = uuid4() if role else None
    return Identity(uuid4(), uuid4(), "ada@example.com", "Ada", team_id, "Acme", role)


def test_every_role_stands_in_the_table() -> None:
    assert set(PERMISSIONS) == set(Role)


@pytest.mark.parametrize("action", Action)
def test_an_owner_may_do_everything(action: Action) -> None:
    identity = _identity(Role.OWNER)
    assert require(identity, action) == identity.team_id
    assert identity.may(action)


@pytest.mark.parametrize("action", Action)
def test_a_billing_manager_may_do_everything_but_say_who_may(action: Action) -> None:
    allowed = action not in {Action.MANAGE_MEMBERS, Action.MANAGE_TOKENS}
    assert _identity(Role.BILLING_MANAGER).may(action) is allowed


@pytest.mark.parametrize("action", Action)
def test_a_plain_member_may_see_the_plan_and_the_members_and_leave(action: Action) -> None:
    identity = _identity(Role.MEMBER)
    if action in {Action.VIEW_PLAN, Action.VIEW_MEMBERS, Action.LEAVE_TEAM}:
        assert require(identity, action) == identity.team_id
        return
    assert not identity.may(action)
    with pytest.raises(NotAllowed):
        require(identity, action)


def test_every_scope_stands_in_the_table() -> None:
    assert set(SCOPE_ACTIONS) == set(Scope)


@pytest.mark.parametrize("scopes", [set(), *({scope} for scope in Scope), set(Scope)])
@pytest.mark.parametrize("role", Role)
def test_a_token_may_do_what_its_role_and_one_of_its_scopes_both_allow(
    role: Role, scopes: set[Scope]
) -> None:
    token = replace(_identity(role), user_id=None, token_id=uuid4(), scopes=frozenset(scopes))
    of_scopes = {action for scope in scopes for action in SCOPE_ACTIONS[scope]}
    assert {action for action in Action if token.may(action)} == PERMISSIONS[role] & of_scopes


@pytest.mark.parametrize("scope", Scope)
def test_no_scope_lets_a_token_manage_people_or_tokens(scope: Scope) -> None:
    forbidden = {Action.MANAGE_MEMBERS, Action.MANAGE_TOKENS, Action.LEAVE_TEAM}
    assert not SCOPE_ACTIONS[scope] & forbidden


def test_without_a_team_nothing_is_allowed() -> None:
    assert not _identity(None).may(Action.VIEW_PLAN)
    with pytest.raises(NoTeam):
        require(_identity(None), Action.VIEW_PLAN)


# ---------------------------------------------------------------- demo


def test_the_demo_has_a_team_for_each_account_and_a_member_of_the_first() -> None:
    assert list(DEMO_ACCOUNTS) == [
        *("active", "trialing", "past due", "canceling", "ended", "no plan", "member")
    ]
    teams = {account.team_id for account in DEMO_ACCOUNTS.values()}
    assert len(teams) == 6
    assert DEMO_ACCOUNTS["member"].team_id == DEMO_ACCOUNTS["active"].team_id
    assert DEMO_ACCOUNTS["member"].role is Role.MEMBER
    assert len({account.user_id for account in DEMO_ACCOUNTS.values()}) == 7
