"""Invitations: whom each lets in, and that it lets in one."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from billing_ui.accounts.errors import (
    AlreadyMember,
    EmailTaken,
    InvalidEmail,
    InvitedSomebodyElse,
    LinkExpired,
    LinkRevoked,
    LinkUnknown,
    LinkUsed,
    TooManyInvitations,
    Unauthenticated,
)
from billing_ui.accounts.invitations import (
    MOST_OPEN,
    Way,
    accept,
    invite,
    look_at,
    open_invitations,
    sign_up,
    withdraw,
)
from billing_ui.accounts.own_sessions import end_all_sessions
from billing_ui.accounts.password_strength import WeakPassword
from billing_ui.accounts.random_tokens import token_hash
from billing_ui.accounts.sessions import identify, sign_in
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import LinkKind, OneTimeLink, Role
from tests.unit.accounts.people import PASSWORD, asking, new_owner, new_person, roles, told


async def test_an_invited_newcomer_becomes_what_the_invitation_says_and_is_signed_in(
    database: Database,
) -> None:
    owner, team = await new_owner(database)
    token = await invite(database, owner, "Ada@Example.com", Role.BILLING_MANAGER)
    offer = await look_at(database, token, None)
    assert (offer.team_name, offer.role, offer.email) == (
        team.name,
        Role.BILLING_MANAGER,
        "ada@example.com",
    )
    assert offer.way is Way.SIGN_UP
    session = await sign_up(database, token, "somebody@else.example", "Ada", PASSWORD)
    ada = await identify(database, session)
    assert ada is not None
    assert (ada.email, ada.team_id, ada.role) == ("ada@example.com", team.id, Role.BILLING_MANAGER)
    assert await sign_in(database, "ada@example.com", PASSWORD)
    details = {"role": "billing_manager"}
    assert await told(database, team) == [
        ("invitation_made", owner.email, "ada@example.com", details),
        ("member_joined", "ada@example.com", "ada@example.com", details),
    ]


async def test_somebody_signed_in_accepts_and_then_looks_at_that_team(database: Database) -> None:
    owner, team = await new_owner(database)
    visitor, _ = await new_owner(database, "Bluefin Studio")
    token = await invite(database, owner, "", Role.MEMBER)
    assert (await look_at(database, token, visitor)).way is Way.ACCEPT
    assert await accept(database, token, visitor) == team.id
    assert visitor.user_id is not None
    assert (await roles(database, team))[visitor.user_id] == Role.MEMBER


async def test_an_invitation_for_an_e_mail_lets_nobody_else_in(database: Database) -> None:
    owner, team = await new_owner(database)
    visitor, _ = await new_owner(database, "Bluefin Studio")
    token = await invite(database, owner, "ada@example.com", Role.OWNER)
    assert (await look_at(database, token, visitor)).way is Way.SOMEBODY_ELSE
    with pytest.raises(InvitedSomebodyElse):
        await accept(database, token, visitor)
    assert list(await roles(database, team)) == [owner.user_id]
    ada = await new_person(database, email="ada@example.com")
    assert (await look_at(database, token, None)).way is Way.SIGN_IN
    with pytest.raises(EmailTaken):
        await sign_up(database, token, "", "Not Ada", PASSWORD)
    await accept(database, token, await asking(database, ada))
    assert (await roles(database, team))[ada.id] == Role.OWNER


async def test_an_invitation_lets_in_one_of_many_who_come_at_once(database: Database) -> None:
    owner, team = await new_owner(database)
    token = await invite(database, owner, "", Role.MEMBER)
    visitors = [await asking(database, await new_person(database)) for _ in range(5)]
    results = await asyncio.gather(
        *(accept(database, token, visitor) for visitor in visitors), return_exceptions=True
    )
    assert sorted(type(r).__name__ for r in results) == ["LinkUsed"] * 4 + ["UUID"]
    assert len(await roles(database, team)) == 2


async def test_newcomers_who_take_one_e_mail_at_once_make_one_person(database: Database) -> None:
    owner, _ = await new_owner(database)
    tokens = [await invite(database, owner, "", Role.MEMBER) for _ in range(3)]
    results = await asyncio.gather(
        *(sign_up(database, token, "ada@example.com", "Ada", PASSWORD) for token in tokens),
        return_exceptions=True,
    )
    assert sorted(type(r).__name__ for r in results) == ["EmailTaken", "EmailTaken", "str"]
    # Those that came to nothing can still be used.
    assert len(await open_invitations(database, owner)) == 2


async def test_who_is_in_the_team_already_uses_nothing_up(database: Database) -> None:
    owner, team = await new_owner(database)
    member = await asking(database, await new_person(database, team, Role.MEMBER))
    token = await invite(database, owner, "", Role.OWNER)
    assert (await look_at(database, token, member)).way is Way.MEMBER_ALREADY
    with pytest.raises(AlreadyMember):
        await accept(database, token, member)
    assert member.user_id is not None
    assert (await roles(database, team))[member.user_id] == Role.MEMBER
    with pytest.raises(AlreadyMember):
        await invite(database, owner, member.email.upper(), Role.OWNER)


async def test_an_invitation_used_withdrawn_expired_or_altered_lets_nobody_in(
    database: Database,
) -> None:
    owner, team = await new_owner(database)
    visitor = await asking(database, await new_person(database))
    used, withdrawn, expired = [await invite(database, owner, "", Role.MEMBER) for _ in "123"]
    await sign_up(database, used, "ada@example.com", "Ada", PASSWORD)
    async with database.write() as session:
        await session.exec(
            update(OneTimeLink)
            .where(col(OneTimeLink.kind) == LinkKind.INVITATION)
            .where(col(OneTimeLink.token_hash) == token_hash(expired))
            .values(expires_at=utc_now() - timedelta(seconds=1))
        )
    [open_one] = await open_invitations(database, owner)
    await withdraw(database, owner, open_one.id)
    await withdraw(database, owner, open_one.id)
    assert await open_invitations(database, owner) == ()
    for token, error in (
        (used, LinkUsed),
        (withdrawn, LinkRevoked),
        (expired, LinkExpired),
        (withdrawn[:-1], LinkUnknown),
        ("", LinkUnknown),
    ):
        with pytest.raises(error):
            await look_at(database, token, visitor)
        with pytest.raises(error):
            await accept(database, token, visitor)
        with pytest.raises(error):
            await sign_up(database, token, "bob@example.com", "Bob", PASSWORD)
    assert len(await roles(database, team)) == 2
    assert [entry[0] for entry in await told(database, team)].count("invitation_revoked") == 1


async def test_an_invitation_of_another_team_cannot_be_withdrawn(database: Database) -> None:
    owner, _ = await new_owner(database)
    stranger, _ = await new_owner(database, "Bluefin Studio")
    await invite(database, owner, "", Role.MEMBER)
    [made] = await open_invitations(database, owner)
    await withdraw(database, stranger, made.id)
    assert [one.id for one in await open_invitations(database, owner)] == [made.id]
    assert await open_invitations(database, stranger) == ()


async def test_a_weak_password_or_no_e_mail_leaves_the_invitation_open(database: Database) -> None:
    owner, _ = await new_owner(database, "Northwind Labs")
    token = await invite(database, owner, "", Role.MEMBER)
    for password in ("northwindlabs", "ada@example.com", "password1", "short", "x" * 300):
        with pytest.raises(WeakPassword):
            await sign_up(database, token, "ada@example.com", "Ada", password)
    with pytest.raises(InvalidEmail):
        await sign_up(database, token, "ada", "Ada", PASSWORD)
    with pytest.raises(InvalidEmail):
        await invite(database, owner, "not an address", Role.MEMBER)
    assert (await look_at(database, token, None)).way is Way.SIGN_UP


async def test_somebody_whose_session_has_ended_joins_nothing(database: Database) -> None:
    owner, team = await new_owner(database)
    visitor = await asking(database, await new_person(database))
    token = await invite(database, owner, "", Role.MEMBER)
    await end_all_sessions(database, visitor)
    with pytest.raises(Unauthenticated):
        await accept(database, token, visitor)
    assert list(await roles(database, team)) == [owner.user_id]


async def test_a_team_has_only_so_many_open_invitations(database: Database) -> None:
    owner, _ = await new_owner(database)
    for _ in range(MOST_OPEN):
        await invite(database, owner, "", Role.MEMBER)
    with pytest.raises(TooManyInvitations):
        await invite(database, owner, "", Role.MEMBER)
