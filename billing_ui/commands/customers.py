"""The payment provider's customers, and which of them is whose."""

from typing import Annotated
from uuid import UUID

import typer
from babel import Locale
from sqlmodel import col, select

from billing_ui.accounts import teams
from billing_ui.billing.customers import current_customer, link_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.commands.running import run
from billing_ui.i18n import DEFAULT_LOCALE, Reader
from billing_ui.models import Customer
from billing_ui.payments.types import NoCustomer
from billing_ui.settings import Provider

app = typer.Typer(help="The payment provider's customers.", no_args_is_help=True)


@app.command("link")
def link(
    team: Annotated[str, typer.Option("--team", help="The team's name or id.")],
    customer: Annotated[
        str, typer.Option(help="The provider's id of the customer, such as cus_….")
    ],
    provider: Annotated[
        Provider | None,
        typer.Option(help="Whose customer it is; the active provider's if not given."),
    ] = None,
) -> None:
    """Make an existing customer of the payment provider a team's, after looking it up there."""

    async def connect(services: Services) -> None:
        found = await teams.find_team(services.database, team)
        of_provider = (provider or services.settings.payment_provider).value
        async with services.database.read() as session:
            before = await current_customer(session, found.id, (of_provider,))
        customer_id = await link_customer(services, found.id, customer, provider)
        typer.echo(f"Linked {customer} to {found.name} ({found.id}).")
        if before and before.provider == of_provider and before.id != customer_id:
            typer.echo(
                f"It takes the place of {before.provider_customer_id}, with which nothing was bought."
                if before.deleted_at is None
                else f"It takes the place of {before.provider_customer_id}, which was deleted."
            )
        await sync_one(services, customer_id)

    run(connect, provider=True, tells=True)


async def sync_one(services: Services, customer_id: UUID) -> None:
    """Fetch a customer from the provider, and say what that came to."""
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


async def customer_of_team(services: Services, name_or_id: str) -> Customer:
    """Return the customer of a team."""
    team = await teams.find_team(services.database, name_or_id)
    providers = services.settings.served_providers
    async with services.database.read() as session:
        customer = await current_customer(session, team.id, providers)
    if customer is None:
        raise NoCustomer(f"{team.name} has no customer yet.")
    return customer


async def find_customer(services: Services, either_id: str) -> Customer:
    """Return a customer by the provider's id or by ours."""
    query = select(Customer)
    try:
        query = query.where(Customer.id == UUID(either_id))
    except ValueError:
        query = query.where(
            col(Customer.provider).in_(services.settings.served_providers),
            Customer.provider_customer_id == either_id,
        )
    async with services.database.read() as session:
        customer = (await session.exec(query)).first()
    if customer is None:
        raise NoCustomer(
            f"No customer {either_id} here. Link it to a team first: billing-ui customers link"
        )
    return customer
