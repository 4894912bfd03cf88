"""Roles, removing and leaving: the rules hold whoever asks, and at the same time."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from billing_ui.accounts.errors import (
    LastOwner,
    LinkRevoked,
    NoTeam,
    NotTheirAccount,
    OtherAccess,
    UnknownMember,
)
from billing_ui.accounts.invitations import accept, invite, look_at
from billing_ui.accounts.members import (
    MEMBERS_A_PAGE,
    change_role,
    leave_team,
    load_members,
    password_reset_link,
    remove_member,
    teams_of,
)
from billing_ui.accounts.new_passwords import change_password
from billing_ui.accounts.own_sessions import look_at_team
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.database import Database
from billing_ui.models import Role
from billing_ui.payments.types import NotAllowed
from tests.unit.accounts.people import PASSWORD, asking, new_owner, new_person, roles, told


async def test_a_team_is_shown_in_the_order_of_joining_and_a_page_at_a_time(
    database: Database,
) -> None:
    owner, team = await new_owner(database)
    for _ in range(MEMBERS_A_PAGE + 1):
        await new_person(database, team, Role.MEMBER)
    first = await load_members(database, owner)
    second = await load_members(database, owner, MEMBERS_A_PAGE + 1)
    beyond = await load_members(database, owner, 10_000)
    assert first.members[0].user_id == owner.user_id
    assert first.members[0].last_owner
    assert (first.first, len(first.members), first.total) == (1, MEMBERS_A_PAGE, 22)
    assert (second.first, len(second.members)) == (21, 2)
    assert beyond == second
    assert not {m.user_id for m in first.members} & {m.user_id for m in second.members}


async def test_a_new_role_is_given_and_told_of(database: Database) -> None:
    owner, team = await new_owner(database)
    other = await new_person(database, team, Role.MEMBER)
    await change_role(database, owner, other.id, Role.BILLING_MANAGER)
    await change_role(database, owner, other.id, Role.BILLING_MANAGER)
    assert (await roles(database, team))[other.id] == Role.BILLING_MANAGER
    details = {"from": "member", "to": "billing_manager"}
    assert await told(database, team) == [("role_changed", owner.email, other.email, details)]


async def test_somebody_removed_or_gone_is_in_the_team_no_more(database: Database) -> None:
    owner, team = await new_owner(database)
    removed, leaving = [await new_person(database, team, Role.MEMBER) for _ in range(2)]
    await remove_member(database, owner, removed.id)
    await leave_team(database, await asking(database, leaving))
    assert list(await roles(database, team)) == [owner.user_id]
    assert await told(database, team) == [
        ("member_removed", owner.email, removed.email, {"role": "member"}),
        ("member_left", leaving.email, leaving.email, {"role": "member"}),
    ]


async def test_the_last_owner_stays_one(database: Database) -> None:
    owner, team = await new_owner(database)
    await new_person(database, team, Role.BILLING_MANAGER)
    assert owner.user_id is not None
    with pytest.raises(LastOwner):
        await change_role(database, owner, owner.user_id, Role.MEMBER)
    with pytest.raises(LastOwner):
        await remove_member(database, owner, owner.user_id)
    with pytest.raises(LastOwner):
        await leave_team(database, owner)
    assert (await roles(database, team))[owner.user_id] == Role.OWNER


@pytest.mark.parametrize("doing", ["demote", "remove", "leave"])
async def test_of_owners_who_all_go_at_once_one_stays(database: Database, doing: str) -> None:
    first, team = await new_owner(database)
    others = [await asking(database, await new_person(database, team)) for _ in range(4)]
    owners = [first, *others]

    async def act(number: int) -> None:
        me, other = owners[number], owners[(number + 1) % len(owners)]
        assert other.user_id is not None
        if doing == "demote":
            await change_role(database, me, other.user_id, Role.MEMBER)
        elif doing == "remove":
            await remove_member(database, me, other.user_id)
        else:
            await leave_team(database, me)

    results = await asyncio.gather(*(act(n) for n in range(len(owners))), return_exceptions=True)
    assert all(
        r is None or isinstance(r, LastOwner | NotAllowed | UnknownMember) for r in results
    ), results
    left = [role for role in (await roles(database, team)).values() if role == Role.OWNER]
    assert len(left) >= 1
    if doing == "leave":
        assert len(left) == 1


async def test_two_owners_who_demote_each_other_leave_one(database: Database) -> None:
    one, team = await new_owner(database)
    two = await asking(database, await new_person(database, team))
    assert one.user_id is not None
    assert two.user_id is not None
    results = await asyncio.gather(
        change_role(database, one, two.user_id, Role.MEMBER),
        change_role(database, two, one.user_id, Role.MEMBER),
        return_exceptions=True,
    )
    assert [type(r) for r in results if r is not None] == [NotAllowed]
    assert sorted((await roles(database, team)).values()) == ["member", "owner"]


@pytest.mark.parametrize("role", [Role.MEMBER, Role.BILLING_MANAGER])
async def test_only_an_owner_changes_who_is_in_the_team(database: Database, role: Role) -> None:
    owner, team = await new_owner(database)
    other = await new_person(database, team, Role.MEMBER, password=PASSWORD)
    asker = await asking(database, await new_person(database, team, role))
    # What the tab was told once does not count: it may have been an owner's.
    for claims in (asker, replace(asker, role=Role.OWNER)):
        with pytest.raises(NotAllowed):
            await change_role(database, claims, other.id, Role.OWNER)
        with pytest.raises(NotAllowed):
            await remove_member(database, claims, other.id)
        with pytest.raises(NotAllowed):
            await password_reset_link(database, claims, other.id)
        with pytest.raises(NotAllowed):
            await invite(database, claims, "", Role.OWNER)
    assert (await roles(database, team))[other.id] == Role.MEMBER
    assert owner.user_id in await roles(database, team)


async def test_people_of_another_team_are_nobody(database: Database) -> None:
    owner, _ = await new_owner(database)
    stranger, theirs = await new_owner(database, "Bluefin Studio")
    assert stranger.user_id is not None
    for somebody in (stranger.user_id, uuid4()):
        with pytest.raises(UnknownMember):
            await change_role(database, owner, somebody, Role.MEMBER)
        with pytest.raises(UnknownMember):
            await remove_member(database, owner, somebody)
        with pytest.raises(UnknownMember):
            await password_reset_link(database, owner, somebody)
    assert list(await roles(database, theirs)) == [stranger.user_id]


async def test_somebody_without_a_team_has_nobody_to_manage(database: Database) -> None:
    loner = await asking(database, await new_person(database))
    assert loner.user_id is not None
    with pytest.raises(NoTeam):
        await load_members(database, loner)
    with pytest.raises(NoTeam):
        await leave_team(database, loner)


async def test_what_an_owner_invited_before_they_went_is_withdrawn(database: Database) -> None:
    owner, team = await new_owner(database)
    demoted, removed = [await asking(database, await new_person(database, team)) for _ in "12"]
    tokens = [await invite(database, one, "", Role.OWNER) for one in (demoted, removed)]
    kept = await invite(database, owner, "", Role.MEMBER)
    assert demoted.user_id is not None
    assert removed.user_id is not None
    await change_role(database, owner, demoted.user_id, Role.MEMBER)
    await remove_member(database, owner, removed.user_id)
    for token in tokens:
        with pytest.raises(LinkRevoked):
            await look_at(database, token, None)
    assert (await look_at(database, kept, None)).team_name == team.name


# ---------------------------------------------------------------- whose password an owner may reset


async def test_a_password_link_is_for_people_of_this_team_alone_who_have_a_password(
    database: Database,
) -> None:
    owner, team = await new_owner(database)
    safe = await new_person(database, team, Role.MEMBER, password=PASSWORD)
    without = await new_person(database, team, Role.MEMBER)
    elsewhere = await new_person(database, team, Role.MEMBER, password=PASSWORD)
    await add_member(
        database, (await create_team(database, "Bluefin")).id, elsewhere.id, Role.OWNER
    )
    assert await password_reset_link(database, owner, safe.id)
    for person in (without, elsewhere):
        with pytest.raises(OtherAccess):
            await password_reset_link(database, owner, person.id)
    page = await load_members(database, owner)
    assert {m.user_id for m in page.members if m.resettable} == {safe.id}
    assert await told(database, team) == [("password_reset_link_made", owner.email, safe.email, {})]


async def test_the_teams_of_a_person_are_theirs_alone(database: Database) -> None:
    owner, _ = await new_owner(database, "beta")
    second = await create_team(database, "Alpha")
    await create_team(database, "Gamma")
    assert owner.user_id is not None
    await add_member(database, second.id, owner.user_id, Role.MEMBER)
    assert [team.name for team in await teams_of(database, owner)] == ["Alpha", "beta"]
    assert await teams_of(database, replace(owner, user_id=None)) == ()


async def test_whom_the_product_let_in_reaches_no_password_and_no_other_team(
    database: Database,
) -> None:
    owner, team = await new_owner(database)
    other = await new_person(database, team, Role.MEMBER, password=PASSWORD)
    second = await create_team(database, "Alpha")
    assert owner.user_id is not None
    await add_member(database, second.id, owner.user_id, Role.OWNER)
    entered = replace(owner, entered=True)
    with pytest.raises(NotAllowed):
        await password_reset_link(database, entered, other.id)
    with pytest.raises(NotTheirAccount):
        await look_at_team(database, entered, second.id)
    with pytest.raises(NotTheirAccount):
        await accept(database, await invite(database, owner, "", Role.MEMBER), entered)
    with pytest.raises(NotTheirAccount):
        await change_password(database, entered, PASSWORD, PASSWORD)
    assert await teams_of(database, entered) == ()
    assert not any(m.resettable for m in (await load_members(database, entered)).members)
