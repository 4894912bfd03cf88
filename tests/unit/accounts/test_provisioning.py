"""The product tells of its teams and people: by its own ids, and never by an address that anybody can claim."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from sqlmodel import select

from billing_ui.accounts.audit import OPERATOR, AuditAction, entries
from billing_ui.accounts.errors import LinkRevoked
from billing_ui.accounts.links import find_link, make_link
from billing_ui.accounts.provisioning import (
    CannotProvision,
    ProvisionedTeam,
    ToldMember,
    provision_team,
)
from billing_ui.accounts.sessions import identify, start_session
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.database import Database
from billing_ui.models import LinkKind, Role, SignInMethod, Team, User

ADA = ToldMember(Role.OWNER, "u-ada", "ada@example.com", "Ada")
BOB = ToldMember(Role.MEMBER, "u-bob", "bob@example.com", "Bob")


async def _tell(database: Database, *members: ToldMember, name: str = "Acme") -> ProvisionedTeam:
    return await provision_team(database, OPERATOR, "t-acme", name, members)


def _listed(team: ProvisionedTeam) -> dict[str, Role]:
    return {member.user.email: member.role for member in team.members}


async def _actions(database: Database, team_id: UUID) -> list[str]:
    page = await entries(database, team_id)
    return sorted(entry.action for entry in page.entries)


async def test_a_team_and_its_people_are_made_by_the_products_ids(database: Database) -> None:
    made = await _tell(database, ADA, BOB)

    assert (made.team.external_id, made.team.name) == ("t-acme", "Acme")
    assert [member.user.external_id for member in made.members] == ["u-ada", "u-bob"]
    assert _listed(made) == {"ada@example.com": Role.OWNER, "bob@example.com": Role.MEMBER}
    assert all(member.user.password_hash is None for member in made.members)
    assert await _actions(database, made.team.id) == [
        *(AuditAction.MEMBER_JOINED, AuditAction.MEMBER_JOINED, AuditAction.TEAM_PROVISIONED)
    ]


async def test_telling_the_same_again_changes_nothing_and_writes_nothing(
    database: Database,
) -> None:
    first = await _tell(database, ADA, BOB)
    told_of = await _actions(database, first.team.id)

    again = await _tell(database, ADA, BOB)

    assert not again.changed
    assert again.team.id == first.team.id
    assert _listed(again) == _listed(first)
    assert await _actions(database, first.team.id) == told_of


async def test_many_who_tell_of_the_same_team_at_once_make_one(database: Database) -> None:
    made = await asyncio.gather(*(_tell(database, ADA, BOB) for _ in range(6)))

    assert len({team.team.id for team in made}) == 1
    async with database.read() as session:
        assert len((await session.exec(select(Team))).all()) == 1
        assert len((await session.exec(select(User))).all()) == 2


async def test_names_addresses_and_roles_follow_the_product(database: Database) -> None:
    await _tell(database, ADA, BOB)

    changed = await _tell(
        database,
        ADA,
        ToldMember(Role.BILLING_MANAGER, "u-bob", " Robert@Example.com", "Robert"),
        name="Acme Inc",
    )

    assert changed.team.name == "Acme Inc"
    assert _listed(changed)["robert@example.com"] is Role.BILLING_MANAGER
    assert AuditAction.ROLE_CHANGED in await _actions(database, changed.team.id)


async def test_what_is_not_said_stays_as_it_is(database: Database) -> None:
    await _tell(database, ADA, BOB)

    by_id_alone = await _tell(
        database, ToldMember(Role.OWNER, "u-ada"), ToldMember(Role.MEMBER, "u-bob")
    )
    without_list = await provision_team(database, OPERATOR, "t-acme", "Acme", None)

    assert not by_id_alone.changed
    assert not without_list.changed
    assert [member.user.name for member in without_list.members] == ["Ada", "Bob"]


async def test_whom_the_product_no_longer_lists_leaves_and_who_joined_here_stays(
    database: Database,
) -> None:
    made = await _tell(database, ADA, BOB)
    accountant = await create_user(database, "accountant@example.org", None)
    await add_member(database, made.team.id, accountant.id, Role.BILLING_MANAGER)

    after = await _tell(database, ADA)

    assert _listed(after) == {
        "ada@example.com": Role.OWNER,
        "accountant@example.org": Role.BILLING_MANAGER,
    }
    assert AuditAction.MEMBER_REMOVED in await _actions(database, made.team.id)


async def test_whoever_leaves_is_signed_out_where_the_product_signed_them_in(
    database: Database,
) -> None:
    made = await _tell(database, ADA, BOB)
    [bob] = [member.user for member in made.members if member.user.external_id == "u-bob"]
    async with database.write() as session:
        token = await start_session(session, bob, SignInMethod.ENTRY, team_id=made.team.id)
    assert await identify(database, token) is not None

    await _tell(database, ADA)

    assert await identify(database, token) is None


@pytest.mark.parametrize(
    "members",
    [(), (BOB,), (ToldMember(Role.MEMBER, "u-ada"), BOB)],
    ids=["none", "left", "demoted"],
)
async def test_a_team_never_loses_its_last_owner(
    database: Database, members: tuple[ToldMember, ...]
) -> None:
    made = await _tell(database, ADA, BOB)

    with pytest.raises(CannotProvision, match=r"^members: the team would have no owner"):
        await _tell(database, *members, name="Another name")

    after = await provision_team(database, OPERATOR, "t-acme", "Acme", None)
    assert not after.changed
    assert _listed(after) == _listed(made)


@pytest.mark.parametrize("role", [None, Role.MEMBER], ids=["gone", "demoted"])
async def test_links_that_an_owner_made_are_of_no_use_once_they_are_none(
    database: Database, role: Role | None
) -> None:
    bob = replace(BOB, role=Role.OWNER)
    made = await _tell(database, ADA, bob)
    [ada] = [member.user for member in made.members if member.user.external_id == "u-ada"]
    async with database.write() as session:
        token = await make_link(
            session, LinkKind.INVITATION, team_id=made.team.id, role=Role.OWNER, created_by=ada.id
        )

    await _tell(database, bob, *([replace(ADA, role=role)] if role is not None else []))

    async with database.read() as session:
        with pytest.raises(LinkRevoked):
            await find_link(session, LinkKind.INVITATION, token)


async def test_the_owner_may_be_another_and_a_new_team_may_have_none_yet(
    database: Database,
) -> None:
    assert _listed(await _tell(database, BOB)) == {"bob@example.com": Role.MEMBER}
    await _tell(database, ADA, BOB)

    after = await _tell(database, ToldMember(Role.OWNER, "u-bob"), ToldMember(Role.MEMBER, "u-ada"))

    assert _listed(after)["bob@example.com"] is Role.OWNER


async def test_somebody_elses_address_hands_nobody_their_account(database: Database) -> None:
    own = await create_team(database, "Victim's")
    victim = await create_user(database, "victim@example.com", "a long passphrase of hers")
    await add_member(database, own.id, victim.id, Role.OWNER)

    with pytest.raises(CannotProvision, match=r"^members\.0\.email: somebody else here"):
        await _tell(database, ToldMember(Role.OWNER, "u-mallory", "Victim@example.com"))
    await _tell(database, ToldMember(Role.OWNER, "u-mallory", "mallory@example.com"))
    with pytest.raises(CannotProvision, match=r"^members\.0\.email: somebody else here"):
        await _tell(database, ToldMember(Role.OWNER, "u-mallory", "victim@example.com"))

    async with database.read() as session:
        found = await session.get_one(User, victim.id)
        assert found.external_id is None
        assert found.email == "victim@example.com"


async def test_an_address_alone_names_somebody_who_joined_here_and_leaves_them_their_own(
    database: Database,
) -> None:
    accountant = await create_user(database, "accountant@example.org", None)

    made = await _tell(
        database, ADA, ToldMember(Role.BILLING_MANAGER, email="Accountant@example.org")
    )

    assert _listed(made)["accountant@example.org"] is Role.BILLING_MANAGER
    async with database.read() as session:
        assert (await session.get_one(User, accountant.id)).external_id is None


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ((ADA, ToldMember(Role.MEMBER)), r"members\.1\.externalId: is required"),
        ((ADA, ToldMember(Role.MEMBER, "u-new")), r"members\.1\.email: is required"),
        ((ADA, ToldMember(Role.MEMBER, "u-new", "nonsense")), r"members\.1\.email: is not an"),
        ((ADA, ToldMember(Role.MEMBER, email="who@example.com")), r"members\.1\.email: nobody"),
        ((ADA, ToldMember(Role.MEMBER, "u-ada")), r"members\.1: is somebody who stands"),
        ((ADA, ToldMember(Role.MEMBER, email="ada@example.com")), r"members\.1: is somebody"),
        ((ADA, ToldMember(Role.MEMBER, "u-b", "ada@example.com")), r"members\.1\.email: somebody"),
    ],
)
async def test_a_list_that_cannot_be_is_refused_whole(
    database: Database, members: tuple[ToldMember, ...], why: str
) -> None:
    with pytest.raises(CannotProvision, match=f"^{why}"):
        await _tell(database, *members)

    async with database.read() as session:
        assert (await session.exec(select(Team))).all() == []
        assert (await session.exec(select(User))).all() == []
