"""Is this installation in good health? Everything that can silently be wrong, each with how to mend it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from datetime import timedelta
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from billing_ui import migrations
from billing_ui.billing.backlog import Backlog, backlogs
from billing_ui.billing.jobs import known_jobs
from billing_ui.billing.live import LineBroken
from billing_ui.billing.live_redis import ask_redis
from billing_ui.billing.provider_report import count_stranded
from billing_ui.billing.recovery import Position, position_row
from billing_ui.billing.services import Services
from billing_ui.billing.unknown_statuses import unknown_statuses
from billing_ui.billing.words import provider_name
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer, EventSource, InboxEvent, Job, PortalConfiguration
from billing_ui.payments.driver import Driver
from billing_ui.payments.inspection import Expected, Finding, Level, fine, problem, warning
from billing_ui.payments.types import (
    NoCustomer,
    PaymentError,
    PortalConfigurationRef,
    ProviderEvent,
)
from billing_ui.settings import KEY_SETTINGS, EventsMode, Provider, Settings

__all__ = ["Finding", "Level", "examine"]

_LEAST_KEY_LENGTH: Final = 32
_ANSWER_SECONDS: Final = 5.0
_NAMED_AT_MOST: Final = 5
_WAITING_TOO_LONG: Final = timedelta(minutes=10)
_RECOVERY_OVERDUE: Final = timedelta(minutes=15)
_UNDER_WAY: Final = timedelta(minutes=2)
"""So long an event may take without anything being wrong."""
_LOOKED_AT: Final = 100
_RUNNING: Final = "See that the app is running, with WORKER=on or `billing-ui worker` beside it"


async def examine(services: Services) -> tuple[Finding, ...]:
    """Return what was looked at and what was found; changes nothing here or at the provider.

    What cannot be looked at because something before it is wrong is left out.
    """
    settings, database = services.settings, services.database
    found = [*_of_settings(settings), *await _of_redis(settings)]
    stored = await _of_database(database)
    found.append(stored)
    usable = stored.level is Level.OK
    if usable:
        found += [finding async for finding in _of_work(services)]
        found += [finding async for finding in _of_copies(services)]
    for provider in settings.served_providers:
        of_one = await _of_served(services, provider, usable=usable)
        several = len(settings.served_providers) > 1
        found += [_named(finding, provider) for finding in of_one] if several else of_one
    return tuple(found)


async def _of_served(services: Services, provider: Provider, *, usable: bool) -> list[Finding]:
    """Return what is right and wrong with one provider."""
    try:
        driver = services.drivers.get(provider)
    except PaymentError as error:
        return [problem("key", str(error), f"Set PAYMENT_PROVIDER, or {KEY_SETTINGS[provider]}.")]
    found: list[Finding] = []
    if not driver.capabilities.event_list:
        found.append(_of_events_unlisted(services.settings, driver))
    elif usable:
        found.append(await _of_recovery(services.database, driver))
    return found + await _of_provider(services, driver, usable=usable)


def _named(finding: Finding, provider: Provider) -> Finding:
    """Return a finding that says which of several providers it is about."""
    name = provider_name(provider)
    what = finding.what if name in finding.what else f"{name}: {finding.what}"
    return finding.model_copy(update={"check": f"{provider} {finding.check}", "what": what})


# ---------------------------------------------------------------- settings and surroundings


def _of_settings(settings: Settings) -> Iterator[Finding]:
    key = settings.secret_key.get_secret_value()
    if key and len(key) < _LEAST_KEY_LENGTH:
        yield warning(
            "secret key",
            f"SECRET_KEY has only {len(key)} characters and could be guessed.",
            f"Set it to {_LEAST_KEY_LENGTH} random bytes or more: openssl rand -base64 48",
        )
    elif not key and not settings.sandbox:
        yield warning(
            "secret key",
            "SECRET_KEY is not set; a key of its own was made for this machine, in the file secret-key.",
            "Set it, so that every machine has the same and it outlives this disk: openssl rand -base64 48",
        )
    elif key:
        yield fine("secret key", "SECRET_KEY is set, and long enough.")
    else:
        yield fine(
            "secret key", "This machine's own key, in the file secret-key, will do for a sandbox."
        )
    host = urlsplit(settings.base_url).hostname or ""
    if not settings.secure and host not in ("localhost", "127.0.0.1", "::1"):
        yield warning(
            "address",
            f"BASE_URL ({settings.base_url}) is plain http: sessions travel unprotected.",
            "Serve the dashboard over https behind a proxy, and set BASE_URL to that address.",
        )
    else:
        yield fine("address", f"People come to {settings.base_url}.")


async def _of_redis(settings: Settings) -> tuple[Finding, ...]:
    url = settings.redis_url.get_secret_value()
    if not url:
        return ()
    try:
        await ask_redis(url, _ANSWER_SECONDS)
    except LineBroken as error:
        return (
            problem(
                "redis",
                str(error),
                "Start it or correct REDIS_URL; one process alone can do without: unset it.",
            ),
        )
    return (fine("redis", "Redis answers."),)


async def _of_database(database: Database) -> Finding:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            current = await migrations.is_current(database)
    except migrations.UnknownRevision as error:
        return problem("database", str(error), "Or restore the database from before the upgrade.")
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        # The driver's own words only: SQLAlchemy would add the statement.
        reason = str(getattr(error, "orig", None) or error) or type(error).__name__
        return problem(
            "database",
            f"The database can't be used: {reason}",
            "Start it or correct DATABASE_URL.",
        )
    if not current:
        return problem(
            "database",
            "The database has not been migrated to this version.",
            "Run: billing-ui db upgrade",
        )
    return fine("database", "The database answers and is migrated.")


# ---------------------------------------------------------------- work


async def _of_work(services: Services) -> AsyncIterator[Finding]:
    database, served = services.database, services.settings.served_providers
    for backlog in await backlogs(database, served):
        for finding in await _of_backlog(database, backlog):
            yield _named(finding, Provider(backlog.provider)) if len(served) > 1 else finding
    for job in await known_jobs(services):
        if job.failures:
            yield warning(
                "jobs",
                f"{job.name} has failed {_many(job.failures, 'time', 'times')} in a row: {job.error}",
                "It is tried again by itself; mend what the error says.",
            )


async def _of_copies(services: Services) -> AsyncIterator[Finding]:
    """Return what in our copy nobody can do anything with, until somebody does something about it."""
    for unknown in await unknown_statuses(services.database):
        yield warning(
            "status",
            f"{provider_name(unknown.provider)} has a status that this version has no word for: "
            f"{unknown.status!r}, of {_many(unknown.subscriptions, 'subscription', 'subscriptions')}. "
            "It is shown as it is.",
            "Upgrade billing-ui; if this is the newest version, report it.",
        )
    stranded = await count_stranded(services)
    if stranded:
        yield warning(
            "mismatch",
            f"{_many(stranded, 'team is a customer', 'teams are customers')} of a provider that is neither "
            "PAYMENT_PROVIDER nor one of LEGACY_PROVIDERS, where nothing can be changed.",
            "Name it in LEGACY_PROVIDERS, or link customers of the active provider instead: "
            "billing-ui providers report",
        )


async def _of_backlog(database: Database, backlog: Backlog) -> list[Finding]:
    found: list[Finding] = []
    if backlog.parked:
        named = await _with_errors(database, backlog.provider, parked=True)
        found.append(
            problem(
                "parked",
                f"{_many(backlog.parked, 'customer was', 'customers were')} given up on: {named}",
                "Mend what the error says, then: billing-ui sync --customer ID",
            )
        )
    if backlog.failing:
        named = await _with_errors(database, backlog.provider, parked=False)
        found.append(
            warning(
                "failing",
                f"{_many(backlog.failing, 'customer', 'customers')} could not be synced the last time: {named}",
                "They are tried again by themselves; mend what the error says.",
            )
        )
    # What fails waits because it fails, and has been told.
    age = timedelta(seconds=backlog.age_seconds)
    in_turn = backlog.waiting - backlog.in_bulk
    if age > _WAITING_TOO_LONG and in_turn > backlog.failing:
        found.append(
            problem(
                "queue",
                f"{_many(in_turn, 'customer waits', 'customers wait')} for a sync, "
                f"{'' if in_turn == 1 else 'one of them '}for {_rounded(age)}.",
                f"{_RUNNING}, and that it keeps up (billing_ui_sync_seconds in /metrics).",
            )
        )
    in_bulk = f", {backlog.in_bulk} of them in bulk" if backlog.in_bulk else ""
    waiting = _many(backlog.waiting, "customer waits", "customers wait")
    return found or [fine("queue", f"{waiting} for a sync{in_bulk}.")]


async def _with_errors(database: Database, provider: str, *, parked: bool) -> str:
    given_up = col(Customer.parked_at)
    query = (
        select(Customer.provider_customer_id, Customer.sync_error)
        .where(
            Customer.provider == provider,
            col(Customer.wanted) > col(Customer.applied),
            ~col(Customer.partial),
            given_up.is_not(None) if parked else given_up.is_(None),
            col(Customer.attempts) > 0,
        )
        .order_by(col(Customer.marked_at))
        .limit(_NAMED_AT_MOST + 1)
    )
    async with database.read() as session:
        rows = (await session.exec(query)).all()
    named = [f"{name} ({error or 'no reason kept'})" for name, error in rows[:_NAMED_AT_MOST]]
    return "; ".join([*named, "…"] if len(rows) > _NAMED_AT_MOST else named)


async def _of_recovery(database: Database, driver: Driver) -> Finding:
    async with database.read() as session:
        job = await session.get(Job, position_row(driver.provider))
    position = Position.loaded(job.state or {}) if job else None
    if position is None:
        return warning(
            "recovery",
            "The provider's list of events has never been walked: what is missed now stays unknown.",
            f"{_RUNNING}.",
        )
    age = utc_now() - position.walked_at
    if age > _RECOVERY_OVERDUE:
        return problem(
            "recovery",
            f"The provider's list of events was last walked {_rounded(age)} ago.",
            f"{_RUNNING}. Nothing is lost: it goes on from where it stopped, for 29 days.",
        )
    return fine("recovery", f"The provider's list of events was walked {_rounded(age)} ago.")


def _of_events_unlisted(settings: Settings, driver: Driver) -> Finding:
    if settings.events_mode is EventsMode.POLL:
        return warning(
            "events",
            f"{driver.display_name} has no list of events to ask for: a change shows only when everything "
            "has been compared, every quarter of an hour.",
            "Set EVENTS_MODE=webhook, and make a webhook endpoint there.",
        )
    return fine(
        "recovery",
        f"{driver.display_name} has no list of events: what no webhook tells is found by comparing.",
    )


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _rounded(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 2:
        return f"{int(age.total_seconds())} seconds"
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 2880 else f"{minutes // 1440} days"


# ---------------------------------------------------------------- provider


async def _of_provider(services: Services, driver: Driver, *, usable: bool) -> list[Finding]:
    """Return what is right and wrong at the provider; without a usable database, what needs none."""
    settings = services.settings
    expected = Expected(
        webhook_url=_webhook_url(settings, driver.provider),
        secure=settings.secure,
        portal_configuration=await _configuration(services, driver.provider) if usable else None,
    )
    found = list(await driver.inspect(expected))
    refused = any(one.check in ("key", "provider") and one.level is Level.PROBLEM for one in found)
    if usable and not refused:
        try:
            found += await _of_account(services, driver)
            capabilities = driver.capabilities
            comparable = capabilities.event_list and capabilities.events_as_delivered
            if expected.webhook_url is not None and comparable:
                found.append(await _of_arrival(services.database, driver))
        except PaymentError as error:
            found.append(problem("provider", str(error), "Run this again in a moment."))
    if settings.events_mode is EventsMode.POLL and driver.capabilities.event_list:
        found.append(
            fine("events", "Events are asked for every few seconds; no webhook is needed.")
        )
    return found


def _webhook_url(settings: Settings, provider: Provider) -> str | None:
    # The app itself registers with the embedded sandbox, wherever it happens to listen.
    if settings.events_mode is EventsMode.POLL or settings.sandbox:
        return None
    # Whether this is a development server only the app knows; a provider never calls that one.
    address = settings.api_url or settings.base_url
    return f"{address}/api/webhooks/{provider}"


async def _configuration(services: Services, provider: Provider) -> PortalConfigurationRef | None:
    async with services.database.read() as session:
        row = await session.get(PortalConfiguration, provider.value)
    return PortalConfigurationRef(id=row.id, hash=row.hash) if row else None


async def _of_account(services: Services, driver: Driver) -> list[Finding]:
    """Find out with one customer whether what we have a copy of is what the key leads to."""
    query = (
        select(Customer.provider_customer_id)
        .where(
            Customer.provider == driver.provider.value,
            col(Customer.provider_customer_id).is_not(None),
            col(Customer.deleted_at).is_(None),
            col(Customer.applied) > 0,
        )
        .order_by(col(Customer.id))
        .limit(1)
    )
    async with services.database.read() as session:
        customer = (await session.exec(query)).first()
    if customer is None:
        return []
    try:
        await driver.fetch_snapshot(customer)
    except NoCustomer:
        return [
            problem(
                "account",
                f"{driver.display_name} does not know {customer}, which is stored here: the key is of "
                "another account, or of the other mode.",
                "Use the key this database was filled with, or an empty database with this one.",
            )
        ]
    return [fine("account", "The key leads to the account whose customers are stored here.")]


async def _of_arrival(database: Database, driver: Driver) -> Finding:
    """Compare what the provider says happened within a day with what it told us."""
    check, now = "deliveries", utc_now()
    needed = frozenset(driver.webhook_events)
    happened: list[ProviderEvent] = []
    async for event in driver.list_events(now - timedelta(days=1)):
        if event.type in needed and not event.foreign and event.created_at < now - _UNDER_WAY:
            happened.append(event)
        if len(happened) == _LOOKED_AT:
            break
    if not happened:
        return fine(check, "Nothing has happened within a day that a webhook would have told.")
    told = await _told(database, driver, [event.id for event in happened])
    missing = [event for event in happened if event.id not in told]
    if not missing:
        return fine(check, f"The last {len(happened)} events arrived by webhook.")
    mend = (
        f"See in {driver.display_name}'s dashboard what the deliveries to the webhook endpoint were "
        "answered: 401 means another signing secret, 404 another address, no answer a firewall. "
        "Meanwhile recovery finds them, some minutes later."
    )
    newest = list(islice(happened, 5))
    if all(event in missing for event in newest):
        return problem(
            check, f"Events do not arrive by webhook: not one of the last {len(newest)} did.", mend
        )
    return warning(
        check, f"{len(missing)} of the last {len(happened)} events did not arrive by webhook.", mend
    )


async def _told(database: Database, driver: Driver, ids: Collection[str]) -> frozenset[str]:
    query = select(InboxEvent.id).where(
        InboxEvent.provider == driver.provider.value,
        InboxEvent.source == EventSource.WEBHOOK,
        col(InboxEvent.id).in_(ids),
    )
    async with database.read() as session:
        return frozenset(await session.exec(query))
