"""The audit log as a file: who gets it, what is in it, and nothing of anybody else."""

import csv
import io
from datetime import timedelta

import httpx
import pytest

from billing_ui.accounts.audit import Actor, AuditAction, record
from billing_ui.clock import utc_now
from billing_ui.models import ActorKind, AuditEntry, Role, Team
from tests.api.world import World

URL = "/api/activity.csv"


async def _happened(world: World, team: Team | None, *targets: str) -> None:
    assert team is not None
    actor = Actor(ActorKind.USER, None, "ada@example.com")
    async with world.services.database.write() as session:
        for target in targets:
            await record(
                session, AuditAction.MEMBER_LEFT, team_id=team.id, actor=actor, target=target
            )


def _rows(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


@pytest.mark.parametrize("role", [Role.OWNER, Role.BILLING_MANAGER])
async def test_the_log_comes_as_a_file_newest_first(
    client: httpx.AsyncClient, world: World, role: Role
) -> None:
    person = await world.person(role)
    await _happened(world, person.team, "ben@example.com", "Zoë, 東京")
    for headers in (person.cookie, person.bearer):
        response = await client.get(URL, headers=headers)
        rows = _rows(response)
        assert [row["target"] for row in rows] == ["Zoë, 東京", "ben@example.com", ""]
        assert [row["action"] for row in rows] == ["member_left", "member_left", "sign_in"]
        assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
        assert response.headers["content-disposition"].startswith("attachment; filename=")
        assert response.headers["cache-control"] == "no-store"


async def test_only_what_was_asked_for_is_in_it(client: httpx.AsyncClient, world: World) -> None:
    person = await world.person()
    await _happened(world, person.team, "ben@example.com", "zoe@example.com")
    only = {"kind": "people", "person": "ZOE"}
    rows = _rows(await client.get(URL, params=only, headers=person.cookie))
    assert [row["target"] for row in rows] == ["zoe@example.com"]
    everything = await client.get(URL, params={"kind": ""}, headers=person.cookie)
    assert len(_rows(everything)) == 3


async def test_what_is_longer_ago_than_asked_for_is_left_out(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    await _happened(world, person.team, "ben@example.com")
    assert person.team is not None
    async with world.services.database.write() as session:
        long_ago = AuditEntry(
            at=utc_now() - timedelta(days=8),
            team_id=person.team.id,
            actor_kind=ActorKind.OPERATOR,
            action=AuditAction.MEMBER_LEFT.value,
            target="long-ago@example.com",
        )
        session.add(long_ago)

    async def told(days: str) -> set[str]:
        rows = _rows(await client.get(URL, params={"days": days}, headers=person.cookie))
        return {row["target"] for row in rows}

    assert await told("7") == {"ben@example.com", ""}
    assert await told("9") == await told("") == {"long-ago@example.com", "ben@example.com", ""}


@pytest.mark.parametrize("days", ["0", "366", "-1", "x", "1.5", "²", "1000"])
async def test_a_number_of_days_that_the_log_does_not_have_is_refused(
    client: httpx.AsyncClient, world: World, days: str
) -> None:
    person = await world.person()
    response = await client.get(URL, params={"days": days}, headers=person.cookie)
    assert response.status_code == 400
    said = response.json()["error"]["message"]
    assert said == "days: must be a whole number from 1 to 365"


async def test_a_formula_is_text(client: httpx.AsyncClient, world: World) -> None:
    person = await world.person()
    await _happened(world, person.team, '=HYPERLINK("https://evil.example","x")')
    rows = _rows(await client.get(URL, headers=person.cookie))
    assert rows[0]["target"] == '\'=HYPERLINK("https://evil.example","x")'


async def test_nobody_else_gets_it(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    await _happened(world, owner.team, "secret@example.com")
    member = await world.person(Role.MEMBER, team=owner.team)
    stranger, loner = await world.person(), await world.person(None)
    assert (await client.get(URL)).status_code == 401
    assert (await client.get(URL, headers={"Authorization": "Bearer no"})).status_code == 401
    assert (await client.get(URL, headers=member.cookie)).status_code == 403
    assert (await client.get(URL, headers=loner.cookie)).status_code == 404
    assert "secret@" not in (await client.get(URL, headers=stranger.cookie)).text


async def test_a_kind_that_does_not_exist_is_refused(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    response = await client.get(URL, params={"kind": "x"}, headers=person.cookie)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("kind: must be one of billing,")
