"""The audit log: what is written in it, that nothing changes it, how it is read and exported."""

import csv
import io
from collections import Counter
from datetime import timedelta
from itertools import chain
from uuid import UUID, uuid4

import pytest
import structlog
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from billing_ui.accounts.audit import (
    KEPT_FOR,
    KIND_ACTIONS,
    OPERATOR,
    Actor,
    AuditAction,
    AuditKind,
    Filter,
    Position,
    count,
    entries,
    export_csv,
    forget_old,
    record,
)
from billing_ui.accounts.clients import bind_client, client_bound, current_client
from billing_ui.accounts.errors import InvalidCredentials
from billing_ui.accounts.sessions import sign_in, sign_in_as, sign_out
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import ActorKind, AuditEntry, AuthSession, Role, SignInMethod, User

PASSWORD = "correct horse"
ADA = Actor(ActorKind.USER, uuid4(), "ada@example.com")


async def _ada_in(database: Database, *names: str) -> tuple[User, list[UUID]]:
    """Return a person and the teams they are in."""
    ada = await create_user(database, "ada@example.com", PASSWORD, "Ada")
    teams = [await create_team(database, name) for name in names]
    for team in teams:
        await add_member(database, team.id, ada.id, Role.OWNER)
    return ada, [team.id for team in teams]


async def _all(database: Database) -> list[AuditEntry]:
    async with database.read() as session:
        return list((await session.exec(select(AuditEntry).order_by(col(AuditEntry.id)))).all())


async def _write(database: Database, team_id: UUID, *targets: str, actor: Actor = ADA) -> None:
    async with database.write() as session:
        for target in targets:
            await record(
                session, AuditAction.ROLE_CHANGED, team_id=team_id, actor=actor, target=target
            )


async def _rows(database: Database, team_id: UUID) -> list[list[str]]:
    text = "".join([piece async for piece in export_csv(database, team_id)])
    return list(csv.reader(io.StringIO(text, newline="")))


# ---------------------------------------------------------------- what is written


async def test_an_entry_says_who_did_what_when_from_where_and_in_which_request(
    database: Database,
) -> None:
    team_id = uuid4()
    with (
        structlog.contextvars.bound_contextvars(request_id="r-1"),
        client_bound("192.0.2.7", "Firefox"),
    ):
        async with database.write() as session:
            await record(
                session,
                AuditAction.ROLE_CHANGED,
                team_id=team_id,
                actor=ADA,
                target="ben@example.com",
                details={"from": "member", "to": "owner"},
            )
    [entry] = await _all(database)
    assert utc_now() - entry.at < timedelta(minutes=1)
    assert (entry.team_id, entry.actor_id, entry.actor_label) == (team_id, ADA.id, ADA.label)
    assert (entry.actor_kind, entry.action) == ("user", "role_changed")
    assert (entry.target, entry.details) == ("ben@example.com", {"from": "member", "to": "owner"})
    assert (entry.address, entry.request_id) == ("192.0.2.7", "r-1")


async def test_what_did_not_come_about_is_not_in_the_log(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as session:
            await record(session, AuditAction.CHECKOUT, team_id=uuid4(), actor=ADA)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await _all(database) == []


async def test_what_is_too_long_is_cut(database: Database) -> None:
    with client_bound("a" * 500, "b" * 5000):
        await _write(database, uuid4(), "t" * 5000, actor=Actor(ActorKind.TOKEN, None, "l" * 5000))
    [entry] = await _all(database)
    assert (len(entry.target), len(entry.actor_label), entry.address) == (500, 320, "a" * 64)


def test_outside_of_a_request_there_is_no_client() -> None:
    assert (current_client().address, current_client().user_agent) == (None, None)
    with client_bound("192.0.2.7", ""):
        assert (current_client().address, current_client().user_agent) == ("192.0.2.7", None)
        bind_client("192.0.2.8", "Firefox")
        assert current_client().user_agent == "Firefox"
    assert current_client().address is None


async def test_signing_in_and_out_is_told_to_each_team_of_the_person(database: Database) -> None:
    ada, teams = await _ada_in(database, "First", "Second")
    token = await sign_in(database, "ada@example.com", PASSWORD)
    await sign_out(database, token)
    await sign_out(database, token)
    for team_id in teams:
        page = await entries(database, team_id)
        assert [entry.action for entry in page.entries] == ["sign_out", "sign_in"]
        assert {entry.actor_id for entry in page.entries} == {ada.id}
        assert page.entries[1].details == {"method": "password"}
    assert len(await _all(database)) == 4


async def test_signing_in_without_a_team_is_told_to_none(database: Database) -> None:
    ada, _ = await _ada_in(database)
    await sign_in_as(database, ada.id, SignInMethod.OIDC)
    [entry] = await _all(database)
    assert (entry.team_id, entry.actor_id) == (None, ada.id)


async def test_a_session_knows_how_and_from_where_it_began(database: Database) -> None:
    ada, _ = await _ada_in(database)
    with client_bound("192.0.2.7", "Firefox"):
        await sign_in_as(database, ada.id, SignInMethod.ENTRY)
    async with database.read() as session:
        stored = (await session.exec(select(AuthSession))).one()
    assert (stored.method, stored.address, stored.user_agent) == ("entry", "192.0.2.7", "Firefox")


async def test_a_session_that_another_one_replaces_says_so(database: Database) -> None:
    ada, [team_id] = await _ada_in(database, "Acme")
    await sign_out(database, await sign_in_as(database, ada.id), replaced=True)
    page = await entries(database, team_id)
    assert page.entries[0].details == {"replaced": True}


async def test_a_failed_sign_in_names_whose_account_it_was_tried_with(database: Database) -> None:
    _, [team_id] = await _ada_in(database, "Acme")
    with pytest.raises(InvalidCredentials):
        await sign_in(database, " ADA@example.com", "wrong horse")
    [entry] = (await entries(database, team_id)).entries
    assert (entry.action, entry.actor_kind) == ("sign_in_failed", "nobody")
    assert (entry.actor_id, entry.actor_label) == (None, "ada@example.com")


@pytest.mark.parametrize("typed", ["nobody@example.com", "hunter2-hunter2", "", "é\udcff"])
async def test_a_failed_sign_in_of_nobody_we_know_keeps_nothing_that_was_typed(
    database: Database, typed: str
) -> None:
    await _ada_in(database, "Acme")
    with pytest.raises(InvalidCredentials):
        await sign_in(database, typed, "wrong horse")
    [entry] = await _all(database)
    assert (entry.team_id, entry.actor_label, entry.target) == (None, "unknown", "")
    assert "horse" not in str(entry.model_dump())


# ---------------------------------------------------------------- nothing changes it


@pytest.mark.parametrize("age", [timedelta(0), KEPT_FOR - timedelta(hours=1), KEPT_FOR * 2])
async def test_the_database_refuses_to_change_an_entry(database: Database, age: timedelta) -> None:
    async with database.write() as session:
        session.add(AuditEntry(at=utc_now() - age, action="sign_in", actor_kind="user"))
    with pytest.raises(DBAPIError, match="only ever added to"):
        async with database.write() as session:
            await session.exec(update(AuditEntry).values(actor_label="somebody else"))
    assert [entry.actor_label for entry in await _all(database)] == [""]


@pytest.mark.parametrize("age", [timedelta(0), KEPT_FOR - timedelta(hours=1)])
async def test_the_database_refuses_to_delete_an_entry_within_a_year(
    database: Database, age: timedelta
) -> None:
    async with database.write() as session:
        session.add(AuditEntry(at=utc_now() - age, action="sign_in", actor_kind="user"))
    with pytest.raises(DBAPIError, match="only ever added to"):
        async with database.write() as session:
            await session.exec(delete(AuditEntry))
    assert len(await _all(database)) == 1


async def test_who_is_deleted_stays_in_the_log(database: Database) -> None:
    ada, [team_id] = await _ada_in(database, "Acme")
    await sign_in_as(database, ada.id)
    async with database.write() as session:
        await session.delete(await session.get_one(User, ada.id))
    [entry] = (await entries(database, team_id)).entries
    assert (entry.actor_id, entry.actor_label) == (ada.id, "ada@example.com")


async def test_after_a_year_entries_are_forgotten_the_oldest_first(database: Database) -> None:
    ages = [400, 500, 380, 364, 0]
    async with database.write() as session:
        for days in ages:
            moment = utc_now() - timedelta(days=days)
            session.add(AuditEntry(at=moment, action="x", actor_kind="user", target=str(days)))
    async with database.write() as session:
        assert await forget_old(session, 2) == 2
    assert {entry.target for entry in await _all(database)} == {"380", "364", "0"}
    async with database.write() as session:
        assert await forget_old(session, 2) == 1
        assert await forget_old(session, 2) == 0
    assert {entry.target for entry in await _all(database)} == {"364", "0"}


# ---------------------------------------------------------------- reading


async def test_a_page_goes_on_where_the_one_before_ended(database: Database) -> None:
    team_id, then = uuid4(), utc_now()
    async with database.write() as session:
        # Several of the same moment: then the number decides.
        for number in range(7):
            moment = then + timedelta(seconds=number // 3)
            session.add(
                AuditEntry(
                    at=moment, team_id=team_id, action="x", actor_kind="user", target=str(number)
                )
            )
    seen: list[str] = []
    before: Position | None = None
    for _ in range(3):
        page = await entries(database, team_id, before=before, limit=3)
        seen += [entry.target for entry in page.entries]
        before = page.next_before
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    assert before is None


async def test_a_team_sees_nothing_of_another_ones_log(database: Database) -> None:
    ours, theirs = uuid4(), uuid4()
    await _write(database, theirs, "secret")
    await _write(database, ours, "ours")
    assert [entry.target for entry in (await entries(database, ours)).entries] == ["ours"]
    assert [row[4] for row in await _rows(database, ours)] == ["target", "ours"]


async def test_entries_are_found_by_what_was_done_and_by_whom_it_was_done_to_or_by(
    database: Database,
) -> None:
    team_id = uuid4()
    await _write(database, team_id, "ben@example.com", "100%_sure@example.com")
    await _write(database, team_id, "zoe@example.com", actor=OPERATOR)
    async with database.write() as session:
        await record(session, AuditAction.CHECKOUT, team_id=team_id, actor=ADA)

    async def found(which: Filter) -> list[str]:
        page = await entries(database, team_id, which=which)
        return [entry.target for entry in page.entries]

    assert await found(Filter(AuditKind.BILLING)) == [""]
    assert await found(Filter(person="BEN@")) == ["ben@example.com"]
    assert await found(Filter(person="operator")) == ["zoe@example.com"]
    assert await found(Filter(person="%_")) == ["100%_sure@example.com"]
    assert len(await found(Filter(person="ada"))) == 3
    assert len(await found(Filter(AuditKind.PEOPLE, "ada"))) == 2
    assert await found(Filter(AuditKind.TOKENS)) == []
    assert await count(database, team_id, at_most=100) == 4
    assert await count(database, team_id, which=Filter(AuditKind.PEOPLE, "ada"), at_most=100) == 2
    assert await count(database, team_id, at_most=3) == 3


@pytest.mark.parametrize("text", ["\0", "a\0da", "\ud800"])
async def test_what_no_database_takes_is_left_out_and_never_found(
    database: Database, text: str
) -> None:
    team_id = uuid4()
    await _write(database, team_id, f"before{text}after")
    assert (await entries(database, team_id, which=Filter(person=text))).entries == ()
    [entry] = (await entries(database, team_id)).entries
    assert entry.target.startswith("before")
    assert entry.target.endswith("after")


def test_every_action_is_of_one_kind() -> None:
    assert Counter(chain.from_iterable(KIND_ACTIONS.values())) == Counter(AuditAction)
    assert set(KIND_ACTIONS) == set(AuditKind)


# ---------------------------------------------------------------- the export


async def test_the_export_has_every_entry_newest_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing_ui.accounts.audit._EXPORT_BATCH", 2)
    team_id = uuid4()
    await _write(database, team_id, *"abcde")
    head, *rows = await _rows(database, team_id)
    assert head[:3] == ["time", "action", "actor"]
    assert [row[4] for row in rows] == ["e", "d", "c", "b", "a"]
    assert rows[0][0].endswith("Z")
    assert rows[0][1:4] == ["role_changed", "ada@example.com", "user"]


async def test_an_export_of_nothing_has_its_head(database: Database) -> None:
    assert len(await _rows(database, uuid4())) == 1


@pytest.mark.parametrize("start", [*"=+-@", "\t=", "\r=", "\n=", " =", "\uff1d"])
async def test_no_spreadsheet_takes_a_text_for_a_formula(database: Database, start: str) -> None:
    team_id, evil = uuid4(), start + "1+1|cmd' /C calc'!A0"
    await _write(database, team_id, evil)
    [_, row] = await _rows(database, team_id)
    assert row[4] == f"'{evil}"


@pytest.mark.parametrize("text", ['say "hi", then\r\nleave', "Zoë; 東京", "a,b", "'"])
async def test_the_export_gives_back_every_text_as_it_was(database: Database, text: str) -> None:
    team_id = uuid4()
    await _write(database, team_id, text)
    [_, row] = await _rows(database, team_id)
    assert row[4] == text
