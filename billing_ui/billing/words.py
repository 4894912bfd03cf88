"""What things are called when people read of them: providers, payment methods, billing intervals, units."""

from typing import Final

from billing_ui.settings import Provider

_PROVIDERS: Final = {
    Provider.STRIPE: "Stripe",
    Provider.POLAR: "Polar",
    Provider.LEMONSQUEEZY: "Lemon Squeezy",
    Provider.PADDLE: "Paddle",
}

_KEEPING: Final = {
    Provider.STRIPE: "To keep it, choose “Don't cancel plan” in Stripe's portal.",
    Provider.POLAR: "To keep it, take the cancellation back in Polar's portal.",
    Provider.LEMONSQUEEZY: "To keep it, resume it in Lemon Squeezy's portal.",
    # Its documentation does not say that the portal can.
    Provider.PADDLE: "To keep it, look for it in Paddle's portal, or contact support.",
}

_CARD_BRANDS: Final = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "discover": "Discover",
    "eftpos_au": "eftpos Australia",
    "jcb": "JCB",
    "link": "Link",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}

_TYPES: Final = {
    "acss_debit": "Pre-authorized debit",
    "au_becs_debit": "BECS debit",
    "bacs_debit": "Bacs debit",
    "card": "Card",
    "cashapp": "Cash App Pay",
    "ideal": "iDEAL",
    "link": "Link",
    "paypal": "PayPal",
    "sepa_debit": "SEPA debit",
    "us_bank_account": "Bank account",
}

_ADVERBS: Final = {
    ("day", 1): "daily",
    ("week", 1): "weekly",
    ("month", 1): "monthly",
    ("month", 3): "quarterly",
    ("year", 1): "yearly",
}


def provider_name(provider: str) -> str:
    """Return a provider's name as people know it: "stripe" is "Stripe"."""
    return _PROVIDERS[Provider(provider)]


def provider_mismatch(theirs: str, ours: str) -> str:
    """Return why a customer of the provider `theirs` can change nothing while `ours` is the active one."""
    return (
        f"Your billing is still with {provider_name(theirs)};"
        f" this site now uses {provider_name(ours)}. Contact support to move it."
    )


def no_plan_changes(provider: str) -> str:
    """Return what somebody is told who wants another plan than the one they have."""
    return (
        f"{provider_name(provider)}'s portal can't switch plans. Contact support to change yours."
    )


def no_checkout(provider: str) -> str:
    """Return what somebody is told who wants to buy a plan."""
    return f"{provider_name(provider)} has no checkout here. Contact support to get a plan."


def how_to_keep(provider: str) -> str:
    """Return what to do to keep a plan that is set to cancel."""
    return _KEEPING[Provider(provider)]


def payment_method_label(type_: str, brand: str | None, last4: str | None) -> str:
    """Return a payment method in words, such as "Visa ending in 4242" or "PayPal"."""
    if brand:
        name = _CARD_BRANDS.get(brand, brand.replace("_", " ").title())
    else:
        name = _TYPES.get(type_, type_.replace("_", " ").capitalize())
    return f"{name} ending in {last4}" if last4 else name


def billed_how_often(interval: str, count: int) -> str:
    """Return a billing interval as an adverb, such as "monthly" or "every 6 months"."""
    return _ADVERBS.get((interval, count)) or f"every {count} {interval}s"


def counted_units(unit_label: str | None) -> str:
    """Return what a quantity counts, at the start of a sentence: "seat" is "Seats", None is "Quantity"."""
    if not unit_label:
        return "Quantity"
    units = several(unit_label)
    return units[0].upper() + units[1:]


def several(unit_label: str) -> str:
    """Return what more than one of a unit are called, within a sentence: "seat" is "seats"."""
    return unit_label if unit_label.isupper() or unit_label.endswith("s") else f"{unit_label}s"
