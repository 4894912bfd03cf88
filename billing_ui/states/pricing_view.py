"""The plans in words: what each costs for the chosen interval, currency and seats, and what can be done."""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from billing_ui.billing.pricing import Pricing, PricingPrice, PricingProduct
from billing_ui.i18n import Reader
from billing_ui.states.plan_view import counted, per_interval

Interval: TypeAlias = tuple[str, int]
"""A billing interval and its count, such as ("month", 1)."""

_NAMES: Final[dict[Interval, str]] = {
    ("day", 1): "Daily",
    ("week", 1): "Weekly",
    ("month", 1): "Monthly",
    ("month", 3): "Quarterly",
    ("month", 6): "Half-yearly",
    ("year", 1): "Yearly",
}
_MONTH: Final[Interval] = ("month", 1)
_YEAR: Final[Interval] = ("year", 1)
_ORDER: Final = {"day": 1, "week": 7, "month": 30, "year": 365}


@dataclass(frozen=True)
class Choice:
    """One option of a group: what it is called and what it stands for."""

    key: str = ""
    label: str = ""


@dataclass(frozen=True)
class OfferView:
    """One plan with a price for what is chosen; `action` is empty for the plan the team has as it is."""

    product_id: str = ""
    heading_id: str = ""
    name: str = ""
    about: str = ""
    price: str = ""
    per: str = ""
    total: str = ""
    total_note: str = ""
    current: bool = False
    action: str = ""
    prominent: bool = False
    features: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Selection:
    """What somebody has chosen on the pricing page."""

    interval: Interval = _MONTH
    currency: str = ""
    seats: int = 1


def interval_choices(pricing: Pricing) -> list[Choice]:
    """Return the intervals there are prices for, shortest first."""
    found = {(price.interval, price.interval_count) for price in _prices(pricing)}
    ordered = sorted(found, key=lambda interval: _ORDER.get(interval[0], 0) * interval[1])
    return [Choice(interval_key(each), interval_name(each)) for each in ordered]


def interval_key(interval: Interval) -> str:
    """Return an interval as a word that `interval_of` reads back."""
    return f"{interval[0]}-{interval[1]}"


def interval_of(key: str, pricing: Pricing) -> Interval | None:
    """Return the interval that `key` stands for, or None when there are no prices for it."""
    found = {(price.interval, price.interval_count) for price in _prices(pricing)}
    return next((each for each in found if interval_key(each) == key), None)


def interval_name(interval: Interval) -> str:
    """Return what an interval is called as an option, such as "Monthly"."""
    return _NAMES.get(interval) or per_interval(*interval).capitalize()


def currency_choices(pricing: Pricing) -> list[Choice]:
    """Return the currencies to choose from; none when there is only one."""
    if len(pricing.currencies) < 2:
        return []
    return [Choice(code, code.upper()) for code in pricing.currencies]


def first_selection(pricing: Pricing) -> Selection:
    """Return what is chosen at first: what the team has, else monthly, in the catalogue's own currency."""
    current = next((p for p in _prices(pricing) if p.id == pricing.current_price_id), None)
    intervals = {(price.interval, price.interval_count) for price in _prices(pricing)}
    interval = (current.interval, current.interval_count) if current else _MONTH
    if interval not in intervals and intervals:
        interval = min(intervals, key=lambda each: _ORDER.get(each[0], 0) * each[1])
    return Selection(
        interval=interval,
        currency=pricing.currencies[0] if pricing.currencies else "",
        seats=max(pricing.current_quantity or 0, pricing.members, 1),
    )


def price_of(product: PricingProduct, selection: Selection) -> PricingPrice | None:
    """Return the product's price for what is chosen, or None when it has none."""
    return next(
        (
            price
            for price in product.prices
            if (price.interval, price.interval_count) == selection.interval
            and selection.currency in price.amounts
        ),
        None,
    )


def offer_views(
    pricing: Pricing, selection: Selection, reader: Reader, *, may_choose: bool
) -> list[OfferView]:
    """Return the plans that have a price for what is chosen.

    Args:
        may_choose: whether the person gets buttons at all.
    """
    return [
        _offer(number, product, price, pricing, selection, reader, may_choose)
        for number, product in enumerate(pricing.products)
        if (price := price_of(product, selection)) is not None
    ]


def free_months(pricing: Pricing, currency: str) -> int:
    """Return how many months every plan saves when billed yearly: whole ones, the same for all; else 0."""
    saved = set()
    for product in pricing.products:
        monthly = price_of(product, Selection(_MONTH, currency))
        yearly = price_of(product, Selection(_YEAR, currency))
        if monthly is None or yearly is None or monthly.amounts[currency] == 0:
            return 0
        months, rest = divmod(yearly.amounts[currency], monthly.amounts[currency])
        saved.add(12 - months if rest == 0 else 0)
    return max(saved.pop(), 0) if len(saved) == 1 else 0


def _offer(
    number: int,
    product: PricingProduct,
    price: PricingPrice,
    pricing: Pricing,
    selection: Selection,
    reader: Reader,
    may_choose: bool,
) -> OfferView:
    often = per_interval(*selection.interval)
    amount = price.amounts[selection.currency]
    unit = product.unit_label
    current = product.id == pricing.current_product_id
    action = _action(product, price, pricing, selection, reader)
    return OfferView(
        product_id=product.id,
        heading_id=f"plan-{number}",
        name=product.name,
        about=product.description or "",
        price=reader.money(amount, selection.currency),
        per=f"per {unit} {often}" if unit else often,
        total=f"{reader.money(amount * selection.seats, selection.currency)} {often}"
        if unit
        else "",
        total_note=f"for {counted(selection.seats, unit, reader)}" if unit else "",
        current=current,
        action=action if may_choose else "",
        prominent=current,
        features=list(product.features),
    )


def _action(
    product: PricingProduct,
    price: PricingPrice,
    pricing: Pricing,
    selection: Selection,
    reader: Reader,
) -> str:
    if not pricing.has_live_subscription:
        return f"Choose {product.name}"
    if product.id != pricing.current_product_id:
        return f"Switch to {product.name}"
    if price.id != pricing.current_price_id:
        return f"Switch to {interval_name(selection.interval).lower()}"
    if product.unit_label and selection.seats != (pricing.current_quantity or 1):
        return f"Switch to {counted(selection.seats, product.unit_label, reader)}"
    return ""


def _prices(pricing: Pricing) -> list[PricingPrice]:
    return [price for product in pricing.products for price in product.prices]
