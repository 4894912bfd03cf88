"""The pricing page: what is chosen on it, what that costs, and the way to the provider from there."""

from dataclasses import replace

import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.permissions import Action
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.teams import owner_contact
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.checkout import open_checkout
from billing_ui.billing.portal import open_switch
from billing_ui.billing.pricing import Pricing, load_pricing
from billing_ui.billing.services import Services, current_services
from billing_ui.billing.words import several
from billing_ui.i18n import Reader
from billing_ui.payments.types import MAX_QUANTITY, InvalidRequest, PaymentError
from billing_ui.states.addresses import PRICING
from billing_ui.states.failures import in_words
from billing_ui.states.leaving import Departure, arrive, leave_for_provider
from billing_ui.states.live_pages import open_pages
from billing_ui.states.pricing_view import (
    Choice,
    OfferView,
    Selection,
    currency_choices,
    first_selection,
    free_months,
    interval_choices,
    interval_key,
    interval_of,
    offer_views,
    price_of,
)
from billing_ui.states.session import reader_of, viewer_of
from billing_ui.states.showing import greet_viewer, no_skeleton_for_ever


class PricingState(rx.State):
    """One tab's pricing page. What is chosen lives here; prices and rights are read anew for every press."""

    _owner: str = ""
    _selection: Selection | None = None

    loaded: bool = False
    broken: bool = False
    signed_in: bool = False
    introduction: str = ""
    advice: str = ""
    contact: str = ""
    nothing: str = ""
    first_plan: bool = False
    """Whether they came here because there is no portal before the first purchase."""

    intervals: list[Choice] = []  # noqa: RUF012 - Reflex gives every tab its own
    interval: str = ""
    yearly_note: str = ""
    currencies: list[Choice] = []  # noqa: RUF012
    currency: str = ""
    unit_heading: str = ""
    unit: str = ""
    seats: str = "1"
    seats_shown: int = 0

    offers: list[OfferView] = []  # noqa: RUF012
    switches: bool = False

    opening: str = ""
    departure: Departure = Departure()
    problem: str = ""
    problem_button: str = ""

    @rx.event
    async def load(self) -> EventSpec | None:
        """Show the plans as our tables have them, at once; an old catalogue is fetched in the background."""
        identity = await greet_viewer(self)
        arrive(self)
        await open_pages.register(self, identity, show_again)
        self.first_plan = self.router.url.query_parameters.get("why") == "nothing-bought"
        with no_skeleton_for_ever(self):
            out_of_date = await _show(self, identity)
        return PricingState.catch_up if out_of_date else None

    @rx.event(background=True)
    async def catch_up(self) -> None:
        """Fetch a catalogue that may be out of date, while the page keeps showing what it has."""
        async with self:
            identity = await viewer_of(self)
        services = current_services()
        pricing = await load_pricing(services, identity)
        if not pricing.out_of_date:
            return
        problem = ""
        try:
            await refresh_catalog(services, pricing.provider)
        except PaymentError as error:
            problem = in_words(error)
        async with self:
            identity = await viewer_of(self)
            await _show(self, identity)
            # Plans we know are shown all the same: only without any does the reader need the cause.
            self.nothing = problem if not self.offers else ""

    @rx.event
    async def choose_interval(self, key: str) -> None:
        """Show what the plans cost for another interval."""
        identity, pricing = await _look(self)
        interval = interval_of(key, pricing)
        if interval is not None:
            selection = replace(self._selection or first_selection(pricing), interval=interval)
            _select(self, selection, pricing, identity)

    @rx.event
    async def choose_currency(self, code: str) -> None:
        """Show what the plans cost in another currency."""
        identity, pricing = await _look(self)
        if code in pricing.currencies:
            selection = replace(self._selection or first_selection(pricing), currency=code)
            _select(self, selection, pricing, identity)

    @rx.event
    async def type_seats(self, text: str) -> None:
        """Follow the number of seats while it is being typed."""
        digits = text.strip()
        if digits.isascii() and digits.isdigit() and 1 <= int(digits[:9]) <= MAX_QUANTITY:
            await _choose_seats(self, int(digits[:9]))

    @rx.event
    async def settle_seats(self, text: str) -> None:
        """Put the number that counts back into the field, when something else was left there."""
        await viewer_of(self)
        if text.strip() != self.seats:
            self.seats_shown += 1

    @rx.event
    async def one_seat_more(self) -> None:
        """Choose one seat more."""
        await _choose_seats(self, int(self.seats) + 1)
        self.seats_shown += 1

    @rx.event
    async def one_seat_less(self) -> None:
        """Choose one seat less."""
        await _choose_seats(self, int(self.seats) - 1)
        self.seats_shown += 1

    @rx.event(background=True)
    async def choose(self, product_id: str) -> EventSpec | None:
        """Go to the provider to buy a plan, or to confirm the switch to it."""
        return await _open(self, product_id)

    @rx.event(background=True)
    async def try_again(self) -> EventSpec | None:
        """Press the button again whose page did not open."""
        async with self:
            product_id = self.problem_button
        return await _open(self, product_id)


async def show_again(state: PricingState) -> Identity | None:
    """Show what our tables hold now to whoever looks at the page."""
    identity = await greet_viewer(state)
    await _show(state, identity)
    return identity


async def _open(state: PricingState, product_id: str) -> EventSpec | None:
    language = reader_of(state).language_tag
    selection = state._selection

    async def open_page(services: Services, identity: Identity) -> str:
        pricing = await load_pricing(services, identity)
        chosen = selection or first_selection(pricing)
        product = next((each for each in pricing.products if each.id == product_id), None)
        price = price_of(product, chosen) if product else None
        if product is None or price is None:
            raise InvalidRequest("This plan is no longer offered. Choose another one.")
        quantity = chosen.seats if product.unit_label else 1
        if pricing.has_live_subscription:
            switch = await open_switch(services, identity, price.id, quantity, locale=language)
            return switch.url
        checkout = await open_checkout(
            services,
            identity,
            price.id,
            quantity,
            currency=chosen.currency,
            locale=language,
        )
        return checkout.url

    return await leave_for_provider(state, product_id, open_page, back_to=PRICING)


async def _choose_seats(state: PricingState, seats: int) -> None:
    identity, pricing = await _look(state)
    seats = min(max(seats, 1), MAX_QUANTITY)
    selection = replace(state._selection or first_selection(pricing), seats=seats)
    _select(state, selection, pricing, identity)


async def _look(state: PricingState) -> tuple[Identity | None, Pricing]:
    """Return who is looking and what there is, both read anew."""
    identity = await viewer_of(state)
    return identity, await load_pricing(current_services(), identity)


async def _show(state: PricingState, identity: Identity | None) -> bool:
    """Fill `state` from our tables; return whether the catalogue should be fetched again."""
    services = current_services()
    pricing = await load_pricing(services, identity)
    state.signed_in = identity is not None
    state.switches = pricing.has_live_subscription
    state.first_plan = state.first_plan and pricing.can_checkout
    state.contact = state.advice = ""
    if identity is not None and not (pricing.can_checkout or pricing.can_switch):
        state.advice = _advice(pricing, identity)
        if identity.team_id is not None and not identity.may(Action.OPEN_PORTAL):
            state.contact = await owner_contact(services.database, identity.team_id) or ""
    state.intervals = interval_choices(pricing)
    state.currencies = currency_choices(pricing)
    counting = next((each for each in pricing.products if each.unit_label), None)
    state.unit_heading = (
        f"{counting.name} {several(counting.unit_label)}"
        if counting and counting.unit_label
        else ""
    )
    state.unit = (counting.unit_label or "") if counting else ""
    seats = state.seats
    _select(state, _still_possible(state._selection, pricing), pricing, identity)
    if state.seats != seats:
        # Not otherwise: somebody may be typing in the field.
        state.seats_shown += 1
    state.loaded, state.broken = True, False
    return pricing.out_of_date


def _select(
    state: PricingState, selection: Selection, pricing: Pricing, identity: Identity | None
) -> None:
    """Show what the plans cost for `selection`."""
    reader = reader_of(state)
    may_choose = identity is None or pricing.can_checkout or pricing.can_switch
    state._selection = selection
    state.interval = interval_key(selection.interval)
    state.currency = selection.currency
    state.seats = str(selection.seats)
    state.offers = offer_views(pricing, selection, reader, may_choose=may_choose)
    free = free_months(pricing, selection.currency)
    state.yearly_note = f"Yearly: {reader.plural(free, 'month', 'months')} free" if free else ""
    state.introduction = _introduction(pricing, selection, identity, reader)


def _still_possible(selection: Selection | None, pricing: Pricing) -> Selection:
    first = first_selection(pricing)
    if selection is None or interval_of(interval_key(selection.interval), pricing) is None:
        return first
    if selection.currency not in pricing.currencies:
        return replace(selection, currency=first.currency)
    return selection


def _introduction(
    pricing: Pricing, selection: Selection, identity: Identity | None, reader: Reader
) -> str:
    if not selection.currency:
        return ""
    current = next((p.name for p in pricing.products if p.id == pricing.current_product_id), None)
    prices = f"Prices in {reader.currency_name(selection.currency)}, before tax."
    if identity is None or identity.team_id is None or current is None:
        return prices
    return f"{identity.team_name} is on {current}. {prices}"


def _advice(pricing: Pricing, identity: Identity) -> str:
    if identity.team_id is None:
        return "You are not in a team yet. Plans belong to a team; ask its owner to add you."
    if pricing.obstacle and identity.may(Action.OPEN_PORTAL):
        return pricing.obstacle
    return "Only an owner or billing manager can change billing."
