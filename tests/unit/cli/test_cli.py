"""The `billing-ui` command as an operator meets it: what it says, what it does, how it fails."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlmodel import Session, create_engine, select
from typer.testing import CliRunner, Result

from billing_ui.accounts.password_strength import SENTENCES, Weakness
from billing_ui.cli import app
from billing_ui.models import Customer, InboxEvent, Membership, Subscription, Team, User
from billing_ui.settings import get_settings
from tests.conftest import free_port

PASSWORD = "correct horse\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox_url: str) -> Iterator[Path]:
    """The database file of an installation with a provider of its own; nothing is in it yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///billing.db")
    monkeypatch.setenv("SECRET_KEY", "for tests only")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_tests")
    monkeypatch.setenv("STRIPE_API_BASE", sandbox_url)
    get_settings.cache_clear()
    yield tmp_path / "billing.db"
    get_settings.cache_clear()


def run(*arguments: str, stdin: str = "") -> Result:
    """Run the command; an exception that leaves it fails the test."""
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def create(email: str = "ada@example.com", team: str = "Acme", *more: str) -> Result:
    """Run `users create`."""
    return run(
        *("users", "create", "--email", email, "--team", team, "--role", "owner"),
        *("--password-stdin", *more),
        stdin=PASSWORD,
    )


def new_customer(provider: str) -> str:
    """Create a customer with a subscription at the provider."""
    with httpx.Client(
        base_url=provider, trust_env=False, headers={"Authorization": "Bearer sk_test_tests"}
    ) as client:

        def post(path: str, **form: str) -> str:
            response = client.post(path, data=form)
            assert response.is_success, response.text
            identifier: str = response.json()["id"]
            return identifier

        product = post("/v1/products", name="Pro")
        price = post(
            "/v1/prices",
            **{"product": product, "currency": "usd", "unit_amount": "14900"},
            **{"recurring[interval]": "month"},
        )
        customer = post("/v1/customers", name="Acme")
        method = post("/v1/payment_methods/pm_card_visa/attach", customer=customer)
        post(
            "/v1/subscriptions",
            **{"customer": customer, "items[0][price]": price, "default_payment_method": method},
        )
        return customer


# ---------------------------------------------------------------- people


def test_the_first_person_makes_the_team_on_a_database_without_tables(file: Path) -> None:
    result = create()
    assert result.exit_code == 0, result.output
    assert "Created the team Acme" in result.output
    assert "Created ada@example.com, owner of Acme." in result.output
    with Session(create_engine(f"sqlite:///{file}")) as session:
        user, team = session.exec(select(User)).one(), session.exec(select(Team)).one()
        membership = session.exec(select(Membership)).one()
    assert (membership.user_id, membership.team_id) == (user.id, team.id)
    assert (team.name, membership.role) == ("Acme", "owner")
    assert user.password_hash
    assert user.password_hash.startswith("$argon2")


def test_the_second_person_joins_the_team(file: Path) -> None:
    create()
    result = create("bob@example.com")
    assert result.exit_code == 0
    assert "Created the team" not in result.output


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("--email", "ada@example.com"), PASSWORD, "A user with this e-mail already exists."),
        (("--email", "ada"), PASSWORD, "That is not an e-mail address."),
        (("--email", "bob@example.com"), "short\n", SENTENCES[Weakness.SHORT]),
        (("--email", "bob@example.com"), "", SENTENCES[Weakness.SHORT]),
        (("--email", "bob@example.com"), "password1\n", SENTENCES[Weakness.COMMON]),
        (("--email", "bob@example.com"), "bob@example.com\n", SENTENCES[Weakness.PERSONAL]),
    ],
)
def test_what_is_wrong_with_a_person_is_said_in_a_sentence(
    file: Path, arguments: tuple[str, ...], stdin: str, message: str
) -> None:
    create()
    result = run(
        *("users", "create", *arguments, "--team", "Acme", "--role", "member"),
        "--password-stdin",
        stdin=stdin,
    )
    assert result.exit_code == 1
    assert result.stderr.strip() == message


def test_a_role_that_does_not_exist_is_a_usage_error(file: Path) -> None:
    result = run("users", "create", "--email", "a@b.c", "--team", "Acme", "--role", "king")
    assert result.exit_code == 2
    assert "billing_manager" in result.stderr


def test_without_a_terminal_the_password_must_come_from_standard_input(file: Path) -> None:
    result = run("users", "reset-password", "--email", "ada@example.com", stdin=PASSWORD)
    assert result.exit_code == 2
    assert "--password-stdin" in result.stderr


def test_a_password_can_be_changed(file: Path) -> None:
    create()
    reset = ("users", "reset-password", "--password-stdin", "--email")
    result = run(*reset, "Ada@Example.com", stdin="another horse\n")
    assert result.exit_code == 0
    assert "another horse" not in result.output
    weak = run(*reset, "ada@example.com", stdin="abcdefgh\n")
    assert (weak.exit_code, weak.stderr.strip()) == (1, SENTENCES[Weakness.SEQUENCE])
    missing = run(*reset, "bob@example.com", stdin=PASSWORD)
    assert (missing.exit_code, missing.stderr.strip()) == (1, "No user has this e-mail.")


def test_a_user_can_be_tied_to_who_they_are_at_an_openid_provider(file: Path) -> None:
    create()
    create("grace@example.com")
    at_provider = ("--issuer", "https://id.example.com", "--subject", "248289761001")
    result = run("users", "link", "--email", "Ada@Example.com", *at_provider)
    assert result.exit_code == 0, result.output
    told = "ada@example.com can sign in as 248289761001 at https://id.example.com."
    assert result.stdout.strip() == told
    again = run("users", "link", "--email", "grace@example.com", *at_provider)
    told = "Another user signs in with this issuer and subject already."
    assert (again.exit_code, again.stderr.strip()) == (1, told)


def test_a_team_that_two_share_a_name_with_must_be_given_by_id(file: Path) -> None:
    create()
    engine = create_engine(f"sqlite:///{file}")
    with Session(engine) as session:
        first = str(session.exec(select(Team.id)).one())
        session.add(Team(name="Acme"))
        session.commit()
    by_name = create("bob@example.com", "Acme")
    assert by_name.exit_code == 1
    assert by_name.stderr.strip() == "Several teams have this name. Give the team's id instead."
    assert create("bob@example.com", first).exit_code == 0
    assert create("eve@example.com", str(uuid4())).exit_code == 1


# ---------------------------------------------------------------- customers


def test_a_customer_is_linked_after_it_was_found_at_the_provider(
    file: Path, sandbox_url: str
) -> None:
    create()
    customer = new_customer(sandbox_url)
    result = run("customers", "link", "--team", "Acme", "--customer", customer)
    assert result.exit_code == 0, result.output
    assert f"Linked {customer} to Acme" in result.output
    assert "1 subscription, 1 payment method, 1 recent invoice" in result.output
    with Session(create_engine(f"sqlite:///{file}")) as session:
        team_id = session.exec(select(Team.id)).one()
        assert session.exec(select(Customer)).one().team_id == team_id
        assert session.exec(select(Subscription)).one().status == "active"


def test_a_customer_with_nothing_gives_way_to_another_and_one_with_a_plan_does_not(
    file: Path, sandbox_url: str
) -> None:
    create()
    with httpx.Client(
        base_url=sandbox_url, trust_env=False, headers={"Authorization": "Bearer sk_test_tests"}
    ) as client:
        empty = client.post("/v1/customers", data={"name": "Acme"}).json()["id"]
    paying, other = new_customer(sandbox_url), new_customer(sandbox_url)
    first = run("customers", "link", "--team", "Acme", "--customer", empty)
    assert "takes the place" not in first.output
    second = run("customers", "link", "--team", "Acme", "--customer", paying)
    assert second.exit_code == 0, second.output
    assert f"It takes the place of {empty}, with which nothing was bought." in second.output
    third = run("customers", "link", "--team", "Acme", "--customer", other)
    assert third.exit_code == 1
    assert f"The team already has the customer {paying}." in third.stderr


def test_a_customer_the_provider_does_not_know_is_not_linked(file: Path) -> None:
    create()
    result = run("customers", "link", "--team", "Acme", "--customer", "cus_none")
    assert result.exit_code == 1
    assert result.stderr.strip()
    assert "Traceback" not in result.output
    with Session(create_engine(f"sqlite:///{file}")) as session:
        assert session.exec(select(Customer)).all() == []


def test_without_a_key_the_embedded_sandbox_is_asked(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    monkeypatch.delenv("STRIPE_SECRET_KEY")
    monkeypatch.delenv("STRIPE_API_BASE")
    get_settings.cache_clear()
    result = run("customers", "link", "--team", "Acme", "--customer", "cus_none")
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert (file.parent / "sandbox.db").exists()


def test_a_customer_of_another_team_is_not_linked(file: Path, sandbox_url: str) -> None:
    create()
    create("bob@example.com", "Other")
    customer = new_customer(sandbox_url)
    assert run("customers", "link", "--team", "Other", "--customer", customer).exit_code == 0
    result = run("customers", "link", "--team", "Acme", "--customer", customer)
    assert result.exit_code == 1
    assert "Another team has the customer" in result.stderr


def test_a_team_that_does_not_exist_gets_no_customer(file: Path) -> None:
    result = run("customers", "link", "--team", "Acme", "--customer", "cus_x")
    assert (result.exit_code, result.stderr.strip()) == (1, "No team has this name or id.")


# ---------------------------------------------------------------- syncing


def test_a_team_or_a_customer_can_be_fetched_again(file: Path, sandbox_url: str) -> None:
    create()
    customer = new_customer(sandbox_url)
    run("customers", "link", "--team", "Acme", "--customer", customer)
    for arguments in (("--team", "Acme"), ("--customer", customer)):
        result = run("sync", *arguments)
        assert result.exit_code == 0, result.output
        assert f"Fetched {customer}: 1 subscription" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "one of --customer, --team and --all"),
        (("--team", "Acme", "--customer", "cus_x"), 2, "one of --customer, --team and --all"),
        (("--team", "Acme"), 1, "Acme has no customer yet."),
        (("--team", "Nobody"), 1, "No team has this name or id."),
        (("--customer", "cus_x"), 1, "No customer cus_x here."),
        (("--customer", str(uuid4())), 1, "No customer"),
    ],
)
def test_what_cannot_be_fetched_is_said_in_a_sentence(
    file: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    create()
    result = run("sync", *arguments)
    assert result.exit_code == code
    assert message in result.stderr


# ---------------------------------------------------------------- surroundings


def test_upgrading_says_whether_there_was_anything_to_do(file: Path) -> None:
    first, second = run("db", "upgrade"), run("db", "upgrade")
    assert (first.exit_code, first.output.strip()) == (0, "The database was upgraded.")
    assert (second.exit_code, second.output.strip()) == (0, "The database is up to date.")


def test_an_unreachable_database_is_a_sentence_without_the_password(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:hunter2@127.0.0.1:1/none")
    get_settings.cache_clear()
    result = run("db", "upgrade")
    assert result.exit_code == 1
    assert result.stderr.startswith("The database can't be used: ")
    assert "hunter2" not in result.output


def test_an_unreachable_provider_is_a_sentence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create()
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:1")
    get_settings.cache_clear()
    result = run("customers", "link", "--team", "Acme", "--customer", "cus_x")
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_wrong_setting_is_named_without_its_value(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://nobody:hunter2@localhost/none")
    get_settings.cache_clear()
    result = run("db", "upgrade")
    assert result.exit_code == 1
    assert "hunter2" not in result.output


def test_the_sandbox_runs_by_itself_and_ends_with_the_command(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "billing_ui.cli", "sandbox", "--port", str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline
            try:
                health = httpx.get(f"http://127.0.0.1:{port}/_control/health", trust_env=False)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            assert health.is_success
            break
    finally:
        process.terminate()
        process.wait()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/_control/health", trust_env=False)


# ---------------------------------------------------------------- events


def receive(file: Path, *events: InboxEvent) -> None:
    """Put events into the inbox of an installation."""
    run("db", "upgrade")
    with Session(create_engine(f"sqlite:///{file}")) as session:
        session.add_all(events)
        session.commit()


def event(id_: str, **fields: Any) -> InboxEvent:
    """Return an event that arrived at noon of December 3."""
    noon = datetime(2026, 12, 3, 12, tzinfo=UTC)
    defaults: dict[str, Any] = {
        "provider": "stripe",
        "id": id_,
        "type": "customer.updated",
        "created_at": noon,
        "received_at": noon,
        "payload": {"id": id_, "key": "sk_live_secret"},
    }
    return InboxEvent(**defaults | fields)


def test_events_are_listed_with_whom_they_concern(file: Path) -> None:
    receive(
        file,
        event("evt_1", provider_customer_id="cus_1"),
        event("evt_2", type="price.updated", catalog=True),
        event("evt_3", type="account.updated"),
    )
    result = run("events", "list")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "2026-12-03 12:00:00 UTC  evt_3  account.updated  -",
        "2026-12-03 12:00:00 UTC  evt_2  price.updated  catalogue",
        "2026-12-03 12:00:00 UTC  evt_1  customer.updated  cus_1",
    ]
    first = run("events", "list", "--limit", "2")
    assert first.stderr.strip() == "There are more: --after evt_2"
    assert "evt_1" in run("events", "list", "--after", "evt_2").stdout
    for narrowed in (("--customer", "cus_1"), ("--type", "customer.*"), ("--since", "2026-12-03")):
        assert "evt_1" in run("events", "list", *narrowed).stdout
    nothing = run("events", "list", "--since", "2026-12-04")
    assert (nothing.stdout, nothing.stderr.strip()) == ("", "No such event.")


def test_an_event_is_shown_whole_but_for_its_secrets(file: Path) -> None:
    receive(file, event("evt_1", provider_customer_id="cus_1", request_id="req-1"))
    result = run("events", "show", "evt_1")
    assert result.exit_code == 0
    for part in ("evt_1", "customer.updated", "by webhook", "cus_1", "req-1", '"key": "***"'):
        assert part in result.stdout
    assert "sk_live_secret" not in result.output


def test_an_event_can_be_replayed(file: Path) -> None:
    receive(file, event("evt_1", provider_customer_id="cus_1"), event("evt_2"))
    result = run("events", "replay", "evt_1")
    assert result.stdout.strip() == ("Marked cus_1 out of date. The running worker fetches it.")
    with Session(create_engine(f"sqlite:///{file}")) as session:
        customer = session.exec(select(Customer)).one()
    assert (customer.provider_customer_id, customer.wanted) == ("cus_1", 1)
    assert "nothing to do" in run("events", "replay", "evt_2").stdout


@pytest.mark.parametrize("verb", ["show", "replay"])
def test_an_event_that_is_not_there_is_said_in_a_sentence(file: Path, verb: str) -> None:
    result = run("events", verb, "evt_9")
    assert result.exit_code == 1
    assert result.stderr.strip().startswith("No event evt_9 in the inbox.")


# ---------------------------------------------------------------- doctor


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it_and_fails_for_scripts(file: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 1
    assert "problem  The database has not been migrated to this version.\n" in result.stdout
    assert "         Run: billing-ui db upgrade\n" in result.stdout
    assert "problem  STRIPE_WEBHOOK_SECRET is not set" in result.stdout
    assert "sk_test" not in result.stdout


def test_the_doctor_succeeds_when_nothing_worse_than_a_warning_is_found(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTS_MODE", "poll")
    get_settings.cache_clear()
    run("db", "upgrade")
    result = run("doctor", "--json")
    findings = json.loads(result.stdout)
    assert {finding["level"] for finding in findings} == {"ok", "warning"}
    assert all(finding["mend"] for finding in findings if finding["level"] == "warning")
    assert result.exit_code == 0
