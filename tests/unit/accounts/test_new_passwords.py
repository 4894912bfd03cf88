"""New passwords: which are accepted, who may choose one, and what ends with the old one."""

import asyncio

import pytest

from billing_ui.accounts.errors import InvalidCredentials, LinkRevoked, LinkUnknown, LinkUsed
from billing_ui.accounts.members import password_reset_link, remove_member
from billing_ui.accounts.new_passwords import (
    PasswordReset,
    change_password,
    has_password,
    reset_by_link,
    whose_reset,
)
from billing_ui.accounts.own_sessions import ended_among
from billing_ui.accounts.password_strength import Weakness, WeakPassword, require_strength
from billing_ui.accounts.sessions import identify, sign_in
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import reset_password
from billing_ui.database import Database
from billing_ui.models import Role
from tests.unit.accounts.people import PASSWORD, asking, new_owner, new_person, told

NEW = "violet trumpets over Antwerp"


@pytest.mark.parametrize(
    ("password", "weakness"),
    [
        ("short", Weakness.SHORT),
        ("x" * 257, Weakness.LONG),
        ("password1", Weakness.COMMON),
        ("ada@example.com", Weakness.PERSONAL),
        ("AdaLovelace", Weakness.PERSONAL),
        ("qazwsxedcrfv", Weakness.COMMON),
        ("aaaaaaaaaaaa", Weakness.REPEATED),
        ("abcdefghijkl", Weakness.SEQUENCE),
        ("19.07.1984", Weakness.DATE),
    ],
)
async def test_a_password_easy_to_guess_is_refused_with_words_that_help(
    password: str, weakness: Weakness
) -> None:
    with pytest.raises(WeakPassword) as refused:
        await require_strength(password, ("ada@example.com", "Ada Lovelace"))
    assert refused.value.weakness is weakness
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    "password", [PASSWORD, NEW, "k7Q!vz9pLmT2", "Пять зелёных тигров поют", "é" * 3 + NEW]
)
async def test_a_password_hard_to_guess_is_accepted(password: str) -> None:
    await require_strength(password, ("ada@example.com", "Ada"))


async def test_of_a_long_password_only_so_much_is_looked_at_as_takes_no_time() -> None:
    with pytest.raises(WeakPassword):
        await require_strength("ab" * 36 + "k7Q!vz9pLmT2", ())


async def test_a_link_gives_a_new_password_and_ends_every_session(database: Database) -> None:
    owner, team = await new_owner(database)
    ada = await new_person(database, team, Role.MEMBER, email="ada@example.com", password=PASSWORD)
    old = await asking(database, ada)
    first = await password_reset_link(database, owner, ada.id)
    second = await password_reset_link(database, owner, ada.id)
    assert await whose_reset(database, first) == "ada@example.com"

    reset = await reset_by_link(database, first, NEW)

    assert reset.ended == (old.session_id,)
    now = await identify(database, reset.token)
    assert now is not None
    assert now.user_id == ada.id
    assert await sign_in(database, "ada@example.com", NEW)
    with pytest.raises(InvalidCredentials):
        await sign_in(database, "ada@example.com", PASSWORD)
    with pytest.raises(LinkUsed):
        await reset_by_link(database, first, PASSWORD)
    # What was made for the same purpose is of no more use.
    with pytest.raises(LinkRevoked):
        await whose_reset(database, second)
    assert ("password_changed", "ada@example.com", "ada@example.com", {}) in await told(
        database, team
    )


async def test_a_link_used_twice_at_once_sets_one_password(database: Database) -> None:
    owner, team = await new_owner(database)
    ada = await new_person(database, team, Role.MEMBER, password=PASSWORD)
    token = await password_reset_link(database, owner, ada.id)
    results = await asyncio.gather(
        *(reset_by_link(database, token, f"{NEW} {n}") for n in range(3)), return_exceptions=True
    )
    assert sum(isinstance(r, PasswordReset) for r in results) == 1
    assert all(isinstance(r, PasswordReset | LinkUsed) for r in results), results


async def test_a_link_is_void_once_its_maker_does_not_speak_for_all_of_the_person(
    database: Database,
) -> None:
    owner, team = await new_owner(database)
    ada = await new_person(database, team, Role.MEMBER, password=PASSWORD)
    token = await password_reset_link(database, owner, ada.id)
    await add_member(database, (await create_team(database, "Bluefin")).id, ada.id, Role.OWNER)
    with pytest.raises(LinkRevoked):
        await whose_reset(database, token)
    with pytest.raises(LinkRevoked):
        await reset_by_link(database, token, NEW)
    assert await sign_in(database, ada.email, PASSWORD)


async def test_a_link_is_void_once_its_maker_or_its_person_has_left(database: Database) -> None:
    owner, team = await new_owner(database)
    other = await asking(database, await new_person(database, team))
    ada, bob = [await new_person(database, team, Role.MEMBER, password=PASSWORD) for _ in range(2)]
    by_other = await password_reset_link(database, other, ada.id)
    for_bob = await password_reset_link(database, owner, bob.id)
    assert other.user_id is not None
    await remove_member(database, owner, other.user_id)
    await remove_member(database, owner, bob.id)
    for token in (by_other, for_bob):
        with pytest.raises(LinkRevoked):
            await reset_by_link(database, token, NEW)
    with pytest.raises(LinkUnknown):
        await reset_by_link(database, "altered", NEW)


async def test_a_weak_password_leaves_the_link_as_it_was(database: Database) -> None:
    owner, team = await new_owner(database)
    ada = await new_person(database, team, Role.MEMBER, password=PASSWORD)
    token = await password_reset_link(database, owner, ada.id)
    with pytest.raises(WeakPassword):
        await reset_by_link(database, token, "password1")
    assert await reset_by_link(database, token, NEW)


async def test_changing_my_password_ends_my_other_sessions_and_keeps_this_one(
    database: Database,
) -> None:
    ada = await new_person(database, password=PASSWORD)
    here, there = await asking(database, ada), await asking(database, ada)
    assert await has_password(database, here)
    with pytest.raises(InvalidCredentials):
        await change_password(database, here, "not my password", NEW)
    with pytest.raises(WeakPassword):
        await change_password(database, here, PASSWORD, "password1")
    assert await change_password(database, here, PASSWORD, NEW) == (there.session_id,)
    assert here.session_id is not None
    assert there.session_id is not None
    ended = await ended_among(database, [here.session_id, there.session_id])
    assert ended == {there.session_id}
    assert await sign_in(database, ada.email, NEW)


async def test_somebody_without_a_password_cannot_be_given_one_by_their_session(
    database: Database,
) -> None:
    here = await asking(database, await new_person(database))
    assert not await has_password(database, here)
    with pytest.raises(InvalidCredentials):
        await change_password(database, here, "", NEW)


async def test_the_operators_reset_ends_every_session_and_is_told_of(database: Database) -> None:
    owner, team = await new_owner(database)
    assert await reset_password(database, owner.email, NEW) == (owner.session_id,)
    assert await told(database, team) == [("password_changed", "operator", owner.email, {})]
