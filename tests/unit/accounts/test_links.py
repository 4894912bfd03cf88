"""One-time links: each works once, for what it was made, and for as long as it was made for."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update
from sqlmodel import select

from billing_ui.accounts.errors import (
    LinkError,
    LinkExpired,
    LinkRevoked,
    LinkUnknown,
    LinkUsed,
)
from billing_ui.accounts.links import LIFETIMES, find_link, make_link, revoke_link, use_link
from billing_ui.accounts.teams import create_team
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import LinkKind, OneTimeLink, Role, Team


async def _invitation(database: Database, team: Team) -> str:
    async with database.write() as session:
        return await make_link(
            session,
            LinkKind.INVITATION,
            team_id=team.id,
            email="ada@example.com",
            role=Role.MEMBER,
            destination="/settings/team",
        )


async def _use(database: Database, token: str, kind: LinkKind = LinkKind.INVITATION) -> OneTimeLink:
    async with database.write() as session:
        return await use_link(session, kind, token)


async def _change(database: Database, **values: datetime) -> None:
    async with database.write() as session:
        await session.exec(update(OneTimeLink).values(**values))


async def test_a_link_says_what_it_was_made_for_and_works_once(database: Database) -> None:
    team = await create_team(database, "Acme")
    token = await _invitation(database, team)
    async with database.read() as session:
        seen = await find_link(session, LinkKind.INVITATION, token)
    link = await _use(database, token)
    assert link.id == seen.id
    assert (link.team_id, link.email, link.role) == (team.id, "ada@example.com", "member")
    assert link.destination == "/settings/team"
    assert link.used_at is not None
    with pytest.raises(LinkUsed, match="used already"):
        await _use(database, token)
    with pytest.raises(LinkUsed):
        async with database.read() as session:
            await find_link(session, LinkKind.INVITATION, token)


async def test_of_many_who_use_a_link_at_once_one_gets_in(database: Database) -> None:
    token = await _invitation(database, await create_team(database, "Acme"))
    outcomes = await asyncio.gather(
        *(_use(database, token) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, OneTimeLink) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, LinkUsed) for outcome in outcomes) == 7


async def test_a_link_is_still_good_when_what_it_was_used_for_failed(database: Database) -> None:
    token = await _invitation(database, await create_team(database, "Acme"))

    async def fail() -> None:
        async with database.write() as session:
            await use_link(session, LinkKind.INVITATION, token)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await _use(database, token)


async def test_only_a_hash_of_a_link_is_stored(database: Database) -> None:
    token = await _invitation(database, await create_team(database, "Acme"))
    async with database.read() as session:
        link = (await session.exec(select(OneTimeLink))).one()
    assert token not in str(link.model_dump())


@pytest.mark.parametrize("kind", [each for each in LinkKind if each is not LinkKind.INVITATION])
async def test_a_link_of_one_kind_is_of_no_use_for_another(
    database: Database, kind: LinkKind
) -> None:
    token = await _invitation(database, await create_team(database, "Acme"))
    with pytest.raises(LinkUnknown):
        await _use(database, token, kind)
    assert await _use(database, token)


@pytest.mark.parametrize(
    "alter",
    [
        lambda token: "",
        lambda token: token[:-1],
        lambda token: token.swapcase(),
        lambda token: token + " ",
        lambda token: "\udcff",
        lambda token: token * 1000,
    ],
)
async def test_an_altered_link_is_of_no_use(
    database: Database, alter: Callable[[str], str]
) -> None:
    token = await _invitation(database, await create_team(database, "Acme"))
    with pytest.raises(LinkUnknown):
        await _use(database, alter(token))


@pytest.mark.parametrize("kind", LinkKind)
async def test_a_link_expires(database: Database, kind: LinkKind) -> None:
    async with database.write() as session:
        token = await make_link(session, kind)
    async with database.read() as session:
        link = await find_link(session, kind, token)
    assert link.expires_at - link.created_at == LIFETIMES[kind]
    await _change(database, expires_at=utc_now() - timedelta(seconds=1))
    with pytest.raises(LinkExpired):
        await _use(database, token, kind)


async def test_a_link_can_be_withdrawn_by_its_own_team_only(database: Database) -> None:
    team, other = await create_team(database, "Acme"), await create_team(database, "Other")
    token = await _invitation(database, team)
    async with database.read() as session:
        link = await find_link(session, LinkKind.INVITATION, token)
    async with database.write() as session:
        assert await revoke_link(session, other.id, link.id) is None
        assert await revoke_link(session, team.id, uuid4()) is None
        revoked = await revoke_link(session, team.id, link.id)
    assert revoked is not None
    assert revoked.email == "ada@example.com"
    with pytest.raises(LinkRevoked):
        await _use(database, token)
    async with database.write() as session:
        assert await revoke_link(session, team.id, link.id) is None


def test_every_failure_of_a_link_has_a_sentence() -> None:
    for failure in LinkError.__subclasses__():
        assert str(failure()).startswith("This link")
