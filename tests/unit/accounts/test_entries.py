"""Entry links: whom the product means is let in once, to that team alone, and nobody else in their place."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update
from sqlmodel import col, select

from billing_ui.accounts.audit import OPERATOR, AuditAction, entries
from billing_ui.accounts.entries import (
    Entered,
    LinkForNobody,
    NotInTeam,
    enter,
    look_at_entry,
    make_entry_link,
)
from billing_ui.accounts.errors import LinkExpired, LinkUnknown, LinkUsed
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.provisioning import CannotProvision, ToldMember, provision_team
from billing_ui.accounts.sessions import Identity, identify
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import AuditEntry, AuthSession, Membership, OneTimeLink, Role, Team, User


def _token(team: Team | None) -> Identity:
    """Return a team's token, or the operator's for None."""
    return Identity(
        session_id=None,
        user_id=None,
        email="",
        user_name="the product",
        team_id=team.id if team else None,
        team_name=team.name if team else "",
        role=Role.OWNER,
        token_id=uuid4(),
        scopes=frozenset(Scope),
        operator=team is None,
    )


@pytest.fixture
async def team(database: Database) -> Team:
    """A team with Ada, its owner."""
    told = [ToldMember(Role.OWNER, "u-ada", "ada@example.com", "Ada")]
    return (await provision_team(database, OPERATOR, "t-acme", "Acme", told)).team


async def _link(database: Database, team: Team, *, destination: str | None = None) -> str:
    made = await make_entry_link(database, _token(team), team.id, "u-ada", destination=destination)
    return made.token


async def _identity(database: Database, entered: Entered) -> Identity:
    identity = await identify(database, entered.session_token)
    assert identity is not None
    return identity


async def _told(database: Database, team_id: UUID) -> list[AuditEntry]:
    return list((await entries(database, team_id)).entries)


async def test_a_link_lets_its_person_in_once(database: Database, team: Team) -> None:
    token = await _link(database, team, destination="/pricing")

    entered = await enter(database, token)

    identity = await _identity(database, entered)
    assert (identity.email, identity.team_id, identity.role) == (
        *("ada@example.com", team.id),
        Role.OWNER,
    )
    assert identity.entered
    assert entered.entry.destination == "/pricing"
    with pytest.raises(LinkUsed):
        await enter(database, token)


async def test_of_two_who_use_a_link_at_once_one_gets_in(database: Database, team: Team) -> None:
    token = await _link(database, team)

    outcomes = await asyncio.gather(
        *(enter(database, token) for _ in range(4)), return_exceptions=True
    )

    assert sum(isinstance(outcome, Entered) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, LinkUsed) for outcome in outcomes) == 3
    async with database.read() as session:
        assert len((await session.exec(select(AuthSession))).all()) == 1


async def test_looking_at_a_link_does_not_use_it(database: Database, team: Team) -> None:
    token = await _link(database, team)

    for _ in range(3):
        assert (await look_at_entry(database, token)).user.email == "ada@example.com"

    assert await enter(database, token)


async def test_a_link_is_good_for_five_minutes(database: Database, team: Team) -> None:
    made = await make_entry_link(database, _token(team), team.id, "u-ada")
    left = made.expires_at - utc_now()
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)
    async with database.write() as session:
        await session.exec(update(OneTimeLink).values(expires_at=utc_now()))
    with pytest.raises(LinkExpired):
        await enter(database, made.token)
    with pytest.raises(LinkExpired):
        await look_at_entry(database, made.token)


async def test_an_altered_link_lets_nobody_in(database: Database, team: Team) -> None:
    with pytest.raises(LinkUnknown):
        await enter(database, (await _link(database, team))[:-1])


async def test_who_has_left_meanwhile_is_not_let_in(database: Database, team: Team) -> None:
    token = await _link(database, team)
    async with database.write() as session:
        await session.exec(delete(Membership).where(col(Membership.team_id) == team.id))

    with pytest.raises(LinkForNobody):
        await look_at_entry(database, token)
    with pytest.raises(LinkForNobody):
        await enter(database, token)

    async with database.read() as session:
        assert (await session.exec(select(AuthSession))).all() == []


async def test_whoever_is_let_in_sees_that_team_and_none_of_their_others(
    database: Database, team: Team
) -> None:
    other = await create_team(database, "Her own")
    entered = await enter(database, await _link(database, team))
    await add_member(database, other.id, entered.entry.user.id, Role.OWNER)
    assert (await _identity(database, entered)).team_id == team.id

    async with database.write() as session:
        await session.exec(delete(Membership).where(col(Membership.team_id) == team.id))

    identity = await _identity(database, entered)
    assert (identity.team_id, identity.role) == (None, None)


async def test_the_session_remembers_where_the_product_wants_its_person_back(
    database: Database, team: Team
) -> None:
    entered = await enter(
        database, await _link(database, team), came_from="https://product.example/home"
    )
    assert (await _identity(database, entered)).came_from == "https://product.example/home"


async def test_the_log_tells_of_links_made_and_used_and_of_no_token(
    database: Database, team: Team
) -> None:
    token = await _link(database, team)
    await enter(database, token)

    told = await _told(database, team.id)

    assert {AuditAction.ENTRY_LINK_MADE, AuditAction.ENTRY_LINK_USED, AuditAction.SIGN_IN} <= {
        entry.action for entry in told
    }
    assert token not in str([entry.model_dump() for entry in told])


async def test_somebody_wholly_unknown_becomes_a_plain_member_for_the_operator(
    database: Database, team: Team
) -> None:
    made = await make_entry_link(database, _token(None), team.id, "u-new", email="New@example.com")
    identity = await _identity(database, await enter(database, made.token))
    assert (identity.email, identity.role) == ("new@example.com", Role.MEMBER)


async def test_two_links_for_somebody_unknown_at_once_make_one_person(
    database: Database, team: Team
) -> None:
    operator = _token(None)
    await asyncio.gather(
        *(
            make_entry_link(database, operator, team.id, "u-new", email="new@example.com")
            for _ in range(8)
        )
    )
    async with database.read() as session:
        assert len((await session.exec(select(User).where(User.external_id == "u-new"))).all()) == 1


async def test_of_somebody_known_the_address_says_nothing(database: Database, team: Team) -> None:
    await create_user(database, "victim@example.com", None)
    for email in ("victim@example.com", "nonsense"):
        made = await make_entry_link(database, _token(None), team.id, "u-ada", email=email)
        assert (await look_at_entry(database, made.token)).user.email == "ada@example.com"


async def test_a_team_token_makes_nobody(database: Database, team: Team) -> None:
    with pytest.raises(NotInTeam):
        await make_entry_link(database, _token(team), team.id, "u-new", email="new@example.com")


async def test_nobody_is_let_in_to_a_team_they_are_not_in(database: Database, team: Team) -> None:
    other = await create_team(database, "Other")
    for token in (_token(None), _token(other)):
        with pytest.raises(NotInTeam):
            await make_entry_link(database, token, other.id, "u-ada", email="ada@example.com")


async def test_somebody_elses_address_lets_nobody_in_as_them(
    database: Database, team: Team
) -> None:
    victim = await create_user(database, "victim@example.com", None)
    operator = _token(None)
    with pytest.raises(CannotProvision, match=r"^email: somebody else here has"):
        await make_entry_link(database, operator, team.id, "u-new", email="Victim@example.com")
    with pytest.raises(CannotProvision, match=r"^email: is not an e-mail"):
        await make_entry_link(database, operator, team.id, "u-new", email="nonsense")
    async with database.read() as session:
        assert (await session.get_one(User, victim.id)).external_id is None
