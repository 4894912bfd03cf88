"""My sessions: I see mine, end mine, and choose among my teams."""

from uuid import uuid4

from billing_ui.accounts.clients import client_bound
from billing_ui.accounts.own_sessions import (
    end_all_sessions,
    end_session,
    ended_among,
    look_at_team,
    own_sessions,
)
from billing_ui.accounts.sessions import identify, sign_in_as
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.database import Database
from billing_ui.models import Role
from tests.unit.accounts.people import asking, new_owner, new_person, told


async def test_my_sessions_are_listed_with_this_one_first(database: Database) -> None:
    ada = await new_person(database)
    with client_bound("203.0.113.7", "Firefox"):
        here = await asking(database, ada)
    with client_bound("198.51.100.4", "Safari"):
        there = await asking(database, ada)
    await asking(database, await new_person(database))
    found = await own_sessions(database, here)
    assert [one.id for one in found] == [here.session_id, there.session_id]
    assert [one.this for one in found] == [True, False]
    assert [(one.user_agent, one.address) for one in found] == [
        ("Firefox", "203.0.113.7"),
        ("Safari", "198.51.100.4"),
    ]


async def test_i_end_a_session_of_mine_and_nobody_elses(database: Database) -> None:
    owner, team = await new_owner(database)
    other = await asking(database, await new_person(database, team, Role.MEMBER))
    assert owner.session_id is not None
    assert not await end_session(database, other, owner.session_id)
    assert not await end_session(database, owner, uuid4())
    assert await end_session(database, owner, owner.session_id)
    assert not await end_session(database, owner, owner.session_id)
    assert await ended_among(database, [owner.session_id]) == {owner.session_id}
    assert [entry[:2] for entry in await told(database, team)] == [("sign_out", owner.email)]


async def test_signing_out_everywhere_ends_all_of_mine_and_is_told_of(database: Database) -> None:
    owner, team = await new_owner(database)
    other = await asking(database, await new_person(database, team, Role.MEMBER))
    assert owner.user_id is not None
    token = await sign_in_as(database, owner.user_id)
    assert len(await end_all_sessions(database, owner)) == 2
    assert await identify(database, token) is None
    assert other.session_id is not None
    assert await ended_among(database, [other.session_id]) == frozenset()
    assert await told(database, team) == [
        ("signed_out_everywhere", owner.email, owner.email, {"sessions": 2})
    ]


async def test_a_session_looks_at_a_team_of_mine_and_at_no_other(database: Database) -> None:
    owner, team = await new_owner(database)
    mine = await create_team(database, "Alpha")
    theirs = await create_team(database, "Bluefin")
    assert owner.user_id is not None
    await add_member(database, mine.id, owner.user_id, Role.MEMBER)
    token = await sign_in_as(database, owner.user_id)
    here = await identify(database, token)
    assert here is not None
    assert here.team_id == team.id
    assert not await look_at_team(database, here, theirs.id)
    assert await look_at_team(database, here, mine.id)
    now = await identify(database, token)
    assert now is not None
    assert (now.team_id, now.role) == (mine.id, Role.MEMBER)
