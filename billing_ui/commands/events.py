"""The payment provider's events that arrived."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from billing_ui.billing import events
from billing_ui.billing.services import Services
from billing_ui.commands.running import run
from billing_ui.models import InboxEvent
from billing_ui.settings import Provider

app = typer.Typer(help="The payment provider's events.", no_args_is_help=True)

EventId = Annotated[str, typer.Argument(help="The provider's id of the event, such as evt_….")]


@app.command("list")
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

    run(show)


@app.command("show")
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

    run(show)


@app.command("replay")
def replay_event(event_id: EventId) -> None:
    """Let an event count once more: whom it concerns is fetched from the provider again."""

    async def replay(services: Services) -> None:
        event = await events.replay_event(services, event_id)
        if event.provider_customer_id is None and not event.catalog:
            typer.echo(f"{event.id} concerns no customer and no product: there is nothing to do.")
        else:
            typer.echo(f"Marked {_of(event)} out of date. The running worker fetches it.")

    run(replay, tells=True)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _of(event: InboxEvent) -> str:
    """Return whom an event concerns, in a word."""
    if event.provider_customer_id is not None:
        return event.provider_customer_id
    return "catalogue" if event.catalog else "-"
