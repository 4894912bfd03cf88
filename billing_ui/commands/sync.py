"""Fetching from the payment provider again: one customer, or everything."""

from collections.abc import Mapping
from typing import Annotated

import typer
from babel import Locale

from billing_ui.billing.backfill import BackfillProgress, backfill
from billing_ui.billing.services import Services
from billing_ui.billing.words import provider_name
from billing_ui.commands.customers import customer_of_team, find_customer, sync_one
from billing_ui.commands.running import run
from billing_ui.i18n import DEFAULT_LOCALE, Reader
from billing_ui.payments.types import Listing
from billing_ui.terminal import Show, progress, time_left


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
        find = customer_of_team(services, team) if team else find_customer(services, customer)
        await sync_one(services, (await find).id)

    try:
        run(_copy_everything if everything else fetch, provider=True, tells=True)
    except KeyboardInterrupt:
        if everything:
            typer.echo("Stopped. Go on with: billing-ui sync --all", err=True)
        raise typer.Exit(130) from None


async def _copy_everything(services: Services) -> None:
    reader = Reader(Locale.parse(DEFAULT_LOCALE), services.settings.zone)

    def words(objects: Mapping[Listing, int]) -> str:
        return ", ".join(
            reader.plural(objects[listing], listing.value.removesuffix("s"), listing.value)
            for listing in Listing
        )

    served = services.settings.served_providers
    for provider in served:
        with progress() as show:

            def report(step: BackfillProgress, show: Show = show) -> None:
                done = sum(step.objects.values())
                rate = f"{step.per_second:,.0f}/s"
                parts = [words(step.objects), rate, time_left(step.seconds_left)]
                if step.customers_left:
                    left = reader.plural(step.customers_left, "customer", "customers")
                    parts.append(f"{left} to fetch whole")
                show(done, done + step.left + step.customers_left, " · ".join(filter(None, parts)))

            result = await backfill(services, report, provider=provider)
        of_whom = f"{provider_name(provider)}: " if len(served) > 1 else ""
        resumed = ", an earlier run's included" if result.resumed else ""
        typer.echo(f"{of_whom}Copied {words(result.objects)} in {result.seconds:.0f} s{resumed}.")
        if result.fetched:
            fetched = reader.plural(result.fetched, "customer", "customers")
            typer.echo(f"{of_whom}Fetched {fetched} whole.")
