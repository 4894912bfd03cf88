"""The `billing-ui` command: people, customers, the database and the sandbox, for whoever runs the dashboard."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import typer
from babel import Locale
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from billing_ui import migrations
from billing_ui.accounts import teams, users
from billing_ui.accounts.errors import AccountError
from billing_ui.billing import events
from billing_ui.billing.backfill import BackfillProgress, backfill
from billing_ui.billing.background import background
from billing_ui.billing.customers import current_customer, link_customer
from billing_ui.billing.doctor import Level, examine
from billing_ui.billing.live_bus import connected
from billing_ui.billing.reconcile import DriftReport, ReconcileProgress, reconcile
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.i18n import DEFAULT_LOCALE, Reader
from billing_ui.models import Customer, InboxEvent, Role
from billing_ui.payments.types import Listing, NoCustomer, PaymentError
from billing_ui.sandbox_process import SandboxUnavailable, embedded_sandbox
from billing_ui.settings import Provider, Settings, load_settings
from billing_ui.telemetry import configure_logging
from billing_ui.terminal import progress, time_left

Result = TypeVar("Result")

_EXPECTED = (AccountError, PaymentError, SandboxUnavailable, migrations.UnknownRevision)

app = typer.Typer(
    name="billing-ui",
    help="Run a billing dashboard: people, customers, database, sandbox.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
users_app = typer.Typer(help="People who can sign in.", no_args_is_help=True)
customers_app = typer.Typer(help="The payment provider's customers.", no_args_is_help=True)
db_app = typer.Typer(help="The database.", no_args_is_help=True)
app.add_typer(users_app, name="users")
app.add_typer(customers_app, name="customers")
app.add_typer(db_app, name="db")
events_app = typer.Typer(help="The payment provider's events.", no_args_is_help=True)
app.add_typer(events_app, name="events")

Email = Annotated[str, typer.Option("--email", help="E-mail address the person signs in with.")]
TeamName = Annotated[str, typer.Option("--team", help="The team's name or id.")]
EventId = Annotated[str, typer.Argument(help="The provider's id of the event, such as evt_….")]
PasswordStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin", help="Read the password from the first line of standard input."
    ),
]


@users_app.command("create")
def create_user(
    email: Email,
    team: TeamName,
    role: Annotated[Role, typer.Option(help="What the person is in the team.")],
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Create a person who can sign in, as a member of a team; a team not there yet is created."""
    password = _read_password(password_stdin)

    async def create(services: Services) -> None:
        enrolment = await teams.enrol(services.database, email, password, name, team, role)
        made = enrolment.team
        if enrolment.team_created:
            typer.echo(f"Created the team {made.name} ({made.id}).")
        typer.echo(f"Created {enrolment.user.email}, {role.replace('_', ' ')} of {made.name}.")

    _run(create)


@users_app.command("reset-password")
def reset_password(email: Email, password_stdin: PasswordStdin = False) -> None:
    """Give a person a new password and sign them out everywhere."""
    password = _read_password(password_stdin)

    async def reset(services: Services) -> None:
        await users.reset_password(services.database, email, password)
        typer.echo(f"Changed the password of {email} and ended every session.")

    _run(reset)


@customers_app.command("link")
def link(
    team: TeamName,
    customer: Annotated[
        str, typer.Option(help="The provider's id of the customer, such as cus_….")
    ],
) -> None:
    """Make an existing customer of the payment provider a team's, after looking it up there."""

    async def connect(services: Services) -> None:
        found = await teams.find_team(services.database, team)
        customer_id = await link_customer(services, found.id, customer)
        typer.echo(f"Linked {customer} to {found.name} ({found.id}).")
        await _sync(services, customer_id)

    _run(connect, provider=True)


@db_app.command("upgrade")
def upgrade() -> None:
    """Create the tables or bring them up to date; does nothing when they are."""
    settings = load_settings()
    done = _guarded(migrations.upgrade(settings.database_url))
    typer.echo("The database was upgraded." if done else "The database is up to date.")


@events_app.command("list")
def list_events(
    type_: Annotated[
        str, typer.Option("--type", help="Only of this type; customer.* is all that begin so.")
    ] = "",
    customer: Annotated[
        str, typer.Option(help="Only of this customer, by the provider's id.")
    ] = "",
    provider: Annotated[Provider | None, typer.Option(help="Only of this provider.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only what arrived since; a day or a moment, in UTC.")
    ] = None,
    after: Annotated[str, typer.Option(help="Go on after the event of this id.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=events.MAX_EVENTS, help="How many.")] = 50,
) -> None:
    """List events that arrived, newest first: when, id, type, and whom they concern."""

    async def show(services: Services) -> None:
        page = await events.list_events(
            services,
            type_=type_,
            customer=customer,
            provider=provider.value if provider else "",
            since=since.replace(tzinfo=UTC) if since else None,
            after=after,
            limit=limit,
        )
        for event in page.events:
            typer.echo("  ".join((_moment(event.received_at), event.id, event.type, _of(event))))
        if page.next_after is not None:
            typer.echo(f"There are more: --after {page.next_after}", err=True)
        elif not page.events:
            typer.echo("No such event.", err=True)

    _run(show)


@events_app.command("show")
def show_event(event_id: EventId) -> None:
    """Show an event: how it came, whom it concerns, and what the provider said."""

    async def show(services: Services) -> None:
        event = await events.show_event(services, event_id)
        lines = {
            "event": event.id,
            "type": event.type,
            "provider": event.provider,
            "created": _moment(event.created_at),
            "arrived": f"{_moment(event.received_at)} by {event.source}",
            "concerns": _of(event),
            "request": event.request_id or "-",
        }
        for name, value in lines.items():
            typer.echo(f"{name:<9} {value}")
        typer.echo(events.payload_text(event))

    _run(show)


@events_app.command("replay")
def replay_event(event_id: EventId) -> None:
    """Let an event count once more: whom it concerns is fetched from the provider again."""

    async def replay(services: Services) -> None:
        event = await events.replay_event(services, event_id)
        if event.provider_customer_id is None and not event.catalog:
            typer.echo(f"{event.id} concerns no customer and no product: there is nothing to do.")
        else:
            typer.echo(f"Marked {_of(event)} out of date. The running worker fetches it.")

    _run(replay)


@app.command()
def sync(
    customer: Annotated[str, typer.Option(help="Which customer: the provider's id, or ours.")] = "",
    team: Annotated[str, typer.Option(help="Which team's customer: the team's name or id.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="All customers, subscriptions and invoices.")
    ] = False,
) -> None:
    """Fetch billing data from the payment provider again: one customer's, or everything.

    With --all the provider's lists are copied, many pages at once. Started again after any end, it goes on
    where it was. Customers that are known whole are fetched whole; the others when somebody looks at them.
    """
    if [bool(customer), bool(team), everything].count(True) != 1:
        raise typer.BadParameter("give one of --customer, --team and --all")

    async def fetch(services: Services) -> None:
        find = _customer_of_team(services, team) if team else _customer(services, customer)
        await _sync(services, (await find).id)

    try:
        _run(_copy_everything if everything else fetch, provider=True)
    except KeyboardInterrupt:
        if everything:
            typer.echo("Stopped. Go on with: billing-ui sync --all", err=True)
        raise typer.Exit(130) from None


@app.command("reconcile")
def compare(
    fix: Annotated[
        bool, typer.Option("--fix", help="Fetch anew what differs, and store unknown customers.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object, for programs.")
    ] = False,
) -> None:
    """Compare every customer with the payment provider, and report what differs.

    The exit code is 1 when something differs and is not mended, or cannot be compared.
    """
    report = _guarded(_with_services(load_settings(), partial(_compare, fix=fix), provider=True))
    if as_json:
        typer.echo(json.dumps(_report_document(report), indent=2))
    else:
        _echo_report(report)
    if not report.clean:
        raise typer.Exit(1)


@app.command()
def worker() -> None:
    """Do the work in the background by itself, until it is stopped: for WORKER=off in the application.

    It fetches customers that are out of date, recovers missed events, reconciles daily and prunes.
    """
    configure_logging()
    try:
        _run(_work, provider=True)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.command()
def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list, for programs.")
    ] = False,
) -> None:
    """Look for everything that is wrong here or at the provider, and say how to mend it; changes nothing.

    The exit code is 1 when there is a problem, and 0 otherwise, warnings or not.
    """
    settings = load_settings()
    findings = _guarded(_with_services(settings, examine, provider=True, migrate=False))
    if as_json:
        document = [finding.model_dump(mode="json") for finding in findings]
        typer.echo(json.dumps(document, indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.level:<8} {finding.what}")
            if finding.mend:
                typer.echo(f"{'':<8} {finding.mend}")
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(1)


@app.command()
def sandbox(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, envvar="SANDBOX_PORT", help="Port to listen on."),
    ] = None,
) -> None:
    """Run the sandbox by itself: a payment provider for development, with a hosted portal.

    It listens on 127.0.0.1 and keeps its data in the file sandbox.db of the present directory.
    """
    command = [sys.executable, "-m", "billing_ui.sandbox"]
    if port is not None:
        command += ["--port", str(port)]
    sys.stdout.flush()
    # The sandbox takes this process's place, so that signals and the exit code are its own.
    os.execv(sys.executable, command)  # noqa: S606 - our own module under our own interpreter


def main() -> None:
    """Run the command line."""
    configure_logging(level=logging.WARNING)
    app()


async def _sync(services: Services, customer_id: UUID) -> None:
    result = await sync_customer(services, customer_id)
    snapshot = result.snapshot
    reader = Reader(Locale.parse(DEFAULT_LOCALE), services.settings.zone)
    counts = (
        reader.plural(len(snapshot.subscriptions), "subscription", "subscriptions"),
        reader.plural(len(snapshot.payment_methods), "payment method", "payment methods"),
        reader.plural(len(snapshot.invoices), "recent invoice", "recent invoices"),
    )
    typer.echo(f"Fetched {snapshot.customer.id}: {', '.join(counts)}.")
    for change in result.changes:
        typer.echo(f"- {change.sentence(reader)}")


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _of(event: InboxEvent) -> str:
    """Return whom an event concerns, in a word."""
    if event.provider_customer_id is not None:
        return event.provider_customer_id
    return "catalogue" if event.catalog else "-"


async def _copy_everything(services: Services) -> None:
    reader = Reader(Locale.parse(DEFAULT_LOCALE), services.settings.zone)

    def words(objects: Mapping[Listing, int]) -> str:
        return ", ".join(
            reader.plural(objects[listing], listing.value.removesuffix("s"), listing.value)
            for listing in Listing
        )

    with progress() as show:

        def report(step: BackfillProgress) -> None:
            done = sum(step.objects.values())
            rate = f"{step.per_second:,.0f}/s"
            parts = [words(step.objects), rate, time_left(step.seconds_left)]
            if step.customers_left:
                left = reader.plural(step.customers_left, "customer", "customers")
                parts.append(f"{left} to fetch whole")
            show(done, done + step.left + step.customers_left, " · ".join(filter(None, parts)))

        result = await backfill(services, report)
    resumed = ", an earlier run's included" if result.resumed else ""
    typer.echo(f"Copied {words(result.objects)} in {result.seconds:.0f} s{resumed}.")
    if result.fetched:
        typer.echo(f"Fetched {reader.plural(result.fetched, 'customer', 'customers')} whole.")


async def _compare(services: Services, *, fix: bool) -> DriftReport:
    with progress() as show:

        def report(step: ReconcileProgress) -> None:
            parts = [
                f"{step.compared:,} of {step.customers:,} customers",
                f"{step.drifted:,} differ",
                time_left(step.seconds_left),
            ]
            show(step.compared, step.customers, " · ".join(filter(None, parts)))

        return await reconcile(services, fix=fix, progress=report)


def _echo_report(report: DriftReport) -> None:
    for drift in report.drift:
        typer.echo(str(drift))
    for name in report.unknown:
        typer.echo(f"{name}: unknown here")
    for name, reason in report.failures.items():
        typer.echo(f"{name}: {reason}")
    typer.echo(
        f"Compared {report.compared}, {report.drifted} differ, {len(report.fixed)} mended, "
        f"{report.behind} were changing or out of date, {len(report.failures)} failed."
    )


def _report_document(report: DriftReport) -> dict[str, Any]:
    return {
        "compared": report.compared,
        "drift": [asdict(drift) for drift in report.drift],
        "unknown": report.unknown,
        "fixed": sorted(report.fixed),
        "behind": report.behind,
        "failures": report.failures,
        "clean": report.clean,
    }


async def _work(services: Services) -> None:
    this = asyncio.current_task()
    assert this is not None
    # Ended by whoever runs services: leases are given back, as after Ctrl-C.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    try:
        async with connected(services), background(services):
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        typer.echo("Stopped.", err=True)


async def _customer_of_team(services: Services, name_or_id: str) -> Customer:
    team = await teams.find_team(services.database, name_or_id)
    provider = services.settings.payment_provider.value
    async with services.database.read() as session:
        customer = await current_customer(session, team.id, provider)
    if customer is None:
        raise NoCustomer(f"{team.name} has no customer yet.")
    return customer


async def _customer(services: Services, either_id: str) -> Customer:
    query = select(Customer)
    try:
        query = query.where(Customer.id == UUID(either_id))
    except ValueError:
        query = query.where(
            Customer.provider == services.settings.payment_provider.value,
            Customer.provider_customer_id == either_id,
        )
    async with services.database.read() as session:
        customer = (await session.exec(query)).first()
    if customer is None:
        raise NoCustomer(
            f"No customer {either_id} here. Link it to a team first: billing-ui customers link"
        )
    return customer


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise typer.BadParameter("without a terminal, give the password with --password-stdin")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _run(command: Callable[[Services], Awaitable[None]], *, provider: bool = False) -> None:
    """Run `command` over a database that is up to date; `provider` says that it asks the payment provider."""
    _guarded(_with_services(load_settings(), command, provider=provider))


async def _with_services(
    settings: Settings,
    command: Callable[[Services], Awaitable[Result]],
    *,
    provider: bool,
    migrate: bool = True,
) -> Result:
    if migrate:
        await migrations.upgrade(settings.database_url)
    async with AsyncExitStack() as stack:
        if provider and settings.sandbox and not settings.stripe_api_base:
            url = await stack.enter_async_context(embedded_sandbox(settings))
            settings = settings.model_copy(update={"stripe_api_base": url})
        services = Services.open(settings)
        stack.push_async_callback(services.close)
        return await command(services)


def _guarded(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work`; an expected failure ends the program with its sentence and code 1."""
    try:
        return asyncio.run(work)
    except _EXPECTED as error:
        _fail(str(error))
    except (SQLAlchemyError, OSError) as error:
        # The driver's own words only: SQLAlchemy would add the statement and its values.
        _fail(f"The database can't be used: {getattr(error, 'orig', None) or error}")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    main()
