"""API tokens: who may be who with one, for how long, and what is kept of it."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlmodel import select

from billing_ui.accounts import tokens
from billing_ui.accounts.audit import OPERATOR, Actor, AuditAction, entries
from billing_ui.accounts.errors import UnusableToken
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.random_tokens import new_token
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.teams import create_team
from billing_ui.accounts.tokens import (
    NewToken,
    active_tokens,
    create_token,
    identify_token,
    is_api_token,
    revoke_token,
)
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import ActorKind, ApiToken, AuditEntry, Role, Team
from billing_ui.telemetry import redact
from tests.unit.statements import noted_statements, plan_of

_OWNER = Actor(ActorKind.USER, uuid4(), "ada@example.com")


@pytest.fixture
async def team(database: Database) -> Team:
    """A team."""
    return await create_team(database, "Acme")


async def _token(
    database: Database,
    team: Team | None,
    *scopes: Scope,
    name: str = "Product backend",
    lifetime: timedelta | None = None,
) -> NewToken:
    return await create_token(
        database,
        team_id=team.id if team else None,
        actor=_OWNER if team else OPERATOR,
        name=name,
        scopes=scopes or (Scope.READ,),
        lifetime=lifetime,
    )


async def _stored(database: Database) -> ApiToken:
    async with database.read() as session:
        return (await session.exec(select(ApiToken))).one()


async def _age(database: Database, **moments: timedelta) -> None:
    async with database.write() as session:
        values = {name: utc_now() - age for name, age in moments.items()}
        await session.exec(update(ApiToken).values(**values))


async def _log(database: Database, team_id: UUID | None) -> list[AuditEntry]:
    if team_id is not None:
        return list((await entries(database, team_id)).entries)
    async with database.read() as session:
        return list((await session.exec(select(AuditEntry))).all())


async def test_a_token_acts_for_its_team_within_its_scopes(database: Database, team: Team) -> None:
    made = await _token(database, team, Scope.READ, Scope.PORTAL)
    assert await identify_token(database, made.secret) == Identity(
        session_id=None,
        user_id=None,
        email="",
        user_name="Product backend",
        team_id=team.id,
        team_name="Acme",
        role=Role.OWNER,
        token_id=made.token.id,
        scopes=frozenset({Scope.READ, Scope.PORTAL}),
    )


async def test_a_token_of_the_operator_has_no_team_of_its_own(database: Database) -> None:
    made = await _token(database, None, Scope.PORTAL)
    identity = await identify_token(database, made.secret)
    assert identity is not None
    assert (identity.operator, identity.team_id, identity.role) == (True, None, None)


async def test_only_a_hash_and_the_end_of_a_token_are_kept(database: Database, team: Team) -> None:
    made = await _token(database, team)
    stored = await _stored(database)
    assert made.secret.startswith("bui_")
    assert stored.hint == made.secret[-4:]
    assert made.secret not in stored.model_dump_json()
    assert made.secret not in repr(made)


def test_no_log_line_holds_a_token() -> None:
    secret = new_token(tokens.PREFIX)
    for line in (secret, f"it was {secret}.", f"Bearer {secret}", f'{{"x": "{secret}"}}'):
        assert secret[4:] not in redact(line)


def test_a_token_of_a_session_is_none_of_these_whatever_it_begins_with() -> None:
    assert is_api_token(new_token(tokens.PREFIX))
    assert not is_api_token(new_token())
    assert not is_api_token("bui_" + new_token()[4:])


@pytest.mark.parametrize(
    "secret", ["", "bui_", "bui_" + "x" * 43, "bui_" + "é" * 43, "bui_" + "\udcff" * 43]
)
async def test_a_token_nobody_was_given_is_refused(
    secret: str, database: Database, team: Team
) -> None:
    await _token(database, team)
    assert await identify_token(database, secret) is None


async def test_a_revoked_token_is_refused_from_then_on(database: Database, team: Team) -> None:
    made = await _token(database, team)
    assert await identify_token(database, made.secret) is not None
    revoked = await revoke_token(database, made.token.id, team_id=team.id, actor=_OWNER)
    assert revoked is not None
    assert await identify_token(database, made.secret) is None
    assert list(await active_tokens(database, team.id)) == []
    # The log tells of it once.
    assert await revoke_token(database, made.token.id, team_id=team.id, actor=_OWNER) is None
    assert [entry.action for entry in await _log(database, team.id)] == [
        AuditAction.TOKEN_REVOKED,
        AuditAction.TOKEN_CREATED,
    ]


async def test_an_expired_token_is_refused(database: Database, team: Team) -> None:
    made = await _token(database, team, lifetime=timedelta(days=30))
    assert await identify_token(database, made.secret) is not None
    await _age(database, expires_at=timedelta(seconds=1))
    assert await identify_token(database, made.secret) is None
    assert list(await active_tokens(database, team.id)) == []


async def test_a_team_that_is_gone_takes_its_tokens_along(database: Database, team: Team) -> None:
    made = await _token(database, team)
    async with database.write() as session:
        await session.delete(await session.get_one(Team, team.id))
    assert await identify_token(database, made.secret) is None


async def test_another_teams_token_cannot_be_revoked(database: Database, team: Team) -> None:
    other = await create_team(database, "Other")
    ours, operators = await _token(database, team), await _token(database, None)
    for token_id, team_id in (
        (ours.token.id, other.id),
        (ours.token.id, None),
        (operators.token.id, other.id),
        (uuid4(), team.id),
    ):
        assert await revoke_token(database, token_id, team_id=team_id, actor=_OWNER) is None
    assert await identify_token(database, ours.secret) is not None
    assert await identify_token(database, operators.secret) is not None


async def test_each_sees_their_own_tokens_the_newest_first(database: Database, team: Team) -> None:
    other = await create_team(database, "Other")
    for owner, name in ((team, "first"), (other, "theirs"), (None, "operator"), (team, "second")):
        await _token(database, owner, name=name)

    async def names(team_id: UUID | None) -> list[str]:
        return [token.name for token in await active_tokens(database, team_id)]

    assert await names(team.id) == ["second", "first"]
    assert await names(other.id) == ["theirs"]
    assert await names(None) == ["operator"]


async def test_use_is_noted_once_a_minute(database: Database, team: Team) -> None:
    made = await _token(database, team)
    assert (await _stored(database)).last_used_at is None
    await identify_token(database, made.secret)
    first = (await _stored(database)).last_used_at
    assert first is not None
    with noted_statements(database) as noted:
        await identify_token(database, made.secret)
    assert len(noted) == 1
    await _age(database, last_used_at=timedelta(minutes=2))
    await identify_token(database, made.secret)
    assert (await _stored(database)).last_used_at >= first


async def test_a_token_is_found_by_its_index(database: Database, team: Team) -> None:
    made = await _token(database, team)
    await identify_token(database, made.secret)
    with noted_statements(database) as noted:
        await identify_token(database, made.secret)
    [(statement, arguments)] = noted
    plan = " ".join(await plan_of(database, statement, arguments))
    assert "Seq Scan on api_token" not in plan
    assert "SCAN api_token" not in plan


async def test_the_audit_log_tells_who_made_a_token_and_never_what_it_is(
    database: Database, team: Team
) -> None:
    made = await _token(database, team, Scope.READ, Scope.PORTAL)
    [entry] = await _log(database, team.id)
    assert (entry.actor_label, entry.target) == ("ada@example.com", "Product backend")
    assert entry.details == {"scopes": ["portal", "read"]}
    assert made.secret not in entry.model_dump_json()


async def test_the_operators_tokens_stand_in_no_teams_log(database: Database, team: Team) -> None:
    await _token(database, None)
    assert await _log(database, team.id) == []
    [entry] = await _log(database, None)
    assert (entry.team_id, entry.actor_kind) == (None, ActorKind.OPERATOR)


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x00b", "right\u202eto left"])
async def test_a_token_needs_a_name_that_can_be_read(
    name: str, database: Database, team: Team
) -> None:
    with pytest.raises(UnusableToken, match="Give the token a name"):
        await _token(database, team, name=name)


async def test_spaces_around_a_name_do_not_count(database: Database, team: Team) -> None:
    made = await _token(database, team, name="  Nightly \n export ")
    assert made.token.name == "Nightly export"


async def test_two_tokens_of_a_team_have_two_names(database: Database, team: Team) -> None:
    made = await _token(database, team, name="Export")
    with pytest.raises(UnusableToken, match="a token “Export” already"):
        await _token(database, team, name="Export ")
    await _token(database, await create_team(database, "Other"), name="Export")
    await revoke_token(database, made.token.id, team_id=team.id, actor=_OWNER)
    await _token(database, team, name="Export")


@pytest.mark.parametrize("days", [0, -1, 4000])
async def test_a_token_lives_for_some_time_to_come(
    days: int, database: Database, team: Team
) -> None:
    with pytest.raises(UnusableToken, match="1 to 3650 days"):
        await _token(database, team, lifetime=timedelta(days=days))


async def test_a_token_is_for_something(database: Database, team: Team) -> None:
    with pytest.raises(UnusableToken, match="at least one scope"):
        await create_token(
            database, team_id=team.id, actor=_OWNER, name="x", scopes=(), lifetime=None
        )


async def test_a_team_has_no_more_tokens_than_a_person_can_look_through(
    database: Database, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_ACTIVE", 2)
    await _token(database, team, name="first")
    await _token(database, team, name="second")
    with pytest.raises(UnusableToken, match="2 tokens already"):
        await _token(database, team, name="third")
