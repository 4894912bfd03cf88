"""`billing-ui tokens`: what an operator makes, sees and ends."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.tokens import identify_token
from billing_ui.cli import app
from billing_ui.database import Database
from billing_ui.settings import get_settings


@pytest.fixture(autouse=True)
def file(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The database file of an installation with the teams Acme and Bluefin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", sqlite_url.replace("+aiosqlite", ""))
    monkeypatch.setenv("SECRET_KEY", "for tests only")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_tests")
    get_settings.cache_clear()
    for team in ("Acme", "Bluefin"):
        run(
            *("users", "create", "--email", f"{team}@example.com", "--team", team),
            *("--role", "owner", "--password-stdin"),
            stdin="correct horse & co\n",
        )
    yield tmp_path / "billing.db"
    get_settings.cache_clear()


def run(*arguments: str, stdin: str = "") -> Result:
    """Run the command; an exception that leaves it fails the test."""
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def create(*arguments: str) -> str:
    """Make a token and return it."""
    result = run("tokens", "create", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def identify(file: Path, secret: str) -> Identity | None:
    """Return who a token acts for."""

    async def look() -> Identity | None:
        database = Database(f"sqlite+aiosqlite:///{file}")
        try:
            return await identify_token(database, secret)
        finally:
            await database.close()

    return asyncio.run(look())


def test_a_token_is_printed_alone_and_acts_for_its_team(file: Path) -> None:
    secret = create("--team", "Acme", "--name", "Nightly export", "--scope", "read")
    assert re.fullmatch(r"bui_[\w-]{43}", secret)
    identity = identify(file, secret)
    assert identity is not None
    assert (identity.team_name, identity.scopes) == ("Acme", {"read"})
    assert not identity.operator


def test_a_token_of_the_operator_acts_for_no_team_yet(file: Path) -> None:
    identity = identify(file, create("--operator", "--name", "Product"))
    assert identity is not None
    assert (identity.operator, identity.team_id) == (True, None)
    assert identity.scopes == {"portal", "read", "checkout"}


def test_the_list_tells_tokens_apart_and_shows_none(file: Path) -> None:
    secret = create("--team", "Acme", "--name", "Export", "--scope", "read", "--days", "30")
    create("--team", "Bluefin", "--name", "Theirs")
    create("--operator", "--name", "Product")
    listed = run("tokens", "list", "--team", "Acme").stdout
    assert f"Export  bui_…{secret[-4:]}  read  never used  expires 20" in listed
    assert len(listed.splitlines()) == 1
    assert secret not in listed
    assert "Product" in run("tokens", "list", "--operator").stdout
    identify(file, secret)
    assert "  used 20" in run("tokens", "list", "--team", "Acme").stdout


@pytest.mark.parametrize("by", ["name", "end", "id"])
def test_a_token_is_revoked_by_name_end_or_id(by: str, file: Path) -> None:
    secret = create("--team", "Acme", "--name", "Export")
    listed = run("tokens", "list", "--team", "Acme").stdout
    wanted = {"name": "Export", "end": f"bui_…{secret[-4:]}", "id": listed.split()[0]}[by]
    result = run("tokens", "revoke", wanted, "--team", "Acme")
    assert result.stdout == f"Revoked Export (bui_…{secret[-4:]}).\n"
    assert identify(file, secret) is None
    assert "No tokens." in run("tokens", "list", "--team", "Acme").output


def test_a_token_of_another_owner_is_not_found() -> None:
    create("--team", "Acme", "--name", "Export")
    for owner in (("--team", "Bluefin"), ("--operator",)):
        result = run("tokens", "revoke", "Export", *owner)
        assert (result.exit_code, "No such token" in result.output) == (1, True)


@pytest.mark.parametrize("command", [("create", "--name", "x"), ("list",), ("revoke", "x")])
def test_a_token_is_a_teams_or_the_operators(command: tuple[str, ...]) -> None:
    for owner in ((), ("--team", "Acme", "--operator")):
        result = run("tokens", *command, *owner)
        assert (result.exit_code, "--operator" in result.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--team", "Nowhere", "--name", "x"), "No team has this name or id."),
        (("--team", "Acme", "--name", " "), "Give the token a name"),
        (("--team", "Acme", "--name", "x", "--days", "0"), "1 to 3650 days"),
    ],
)
def test_a_token_that_cannot_be_had_is_a_sentence(
    arguments: tuple[str, ...], sentence: str
) -> None:
    result = run("tokens", "create", *arguments)
    assert (result.exit_code, sentence in result.output) == (1, True)
