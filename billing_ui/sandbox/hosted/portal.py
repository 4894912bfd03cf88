"""What the portals of all providers say and ask for alike: notices, a card, billing information."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from starlette.responses import Response

from billing_ui.sandbox.hosted.formats import Formats
from billing_ui.sandbox.hosted.forms import Form, check_email, without_cvc
from billing_ui.sandbox.hosted.visits import Visit
from billing_ui.sandbox.hosted.wording import address_lines

# What the start page says after an action; the URL holds the key, so nobody can make it say more.
NOTICES = {
    "plan-updated": "Your plan is updated.",
    "plan-canceled": "Your plan is canceled.",
    "plan-kept": "Your plan is no longer set to cancel.",
    "card-added": "Your payment method is added and is now the default.",
    "card-default": "Your default payment method is changed.",
    "card-removed": "The payment method is removed.",
    "information-saved": "Your billing information is saved.",
    "invoice-paid": "Thank you. The invoice is paid.",
}

_ADDRESS = ("line1", "line2", "postal_code", "city", "state", "country")
_PERSON = ("name", "email", "phone")
_LONGEST = {"name": 256, "email": 512, "phone": 20, "tax_id": 50, **dict.fromkeys(_ADDRESS, 200)}


def card_form(visit: Visit, form: Form, problem: str = "", status: int = 200) -> Response:
    """Ask for a card, after a refusal without its security code."""
    return visit.show(
        "portal/card.html",
        status=status,
        heading="Add payment method",
        problem=problem,
        form=without_cvc(form),
    )


# -------------------------------------------------------------------------- billing information


def information_lines(
    customer: Mapping[str, Any], allowed: Collection[str], formats: Formats
) -> list[tuple[str, str]]:
    """Return (name, value) of what is allowed to be shown of a customer, "" for what is not known."""
    values = {
        "name": ("Name", customer["name"]),
        "email": ("E-mail", customer["email"]),
        "phone": ("Phone", customer["phone"]),
        "address": ("Address", ", ".join(address_lines(customer["address"], formats))),
    }
    return [(name, value or "") for key, (name, value) in values.items() if key in allowed]


def known_information(customer: Mapping[str, Any]) -> Form:
    """Return the form with what is known of a customer."""
    address = customer["address"] or {}
    known = {name: customer[name] or "" for name in _PERSON}
    return Form(known | {name: address.get(name) or "" for name in _ADDRESS})


def information_form(
    visit: Visit,
    form: Form,
    allowed: Collection[str],
    tax_types: Iterable[tuple[str, str]] = (),
    status: int = 200,
) -> Response:
    """Ask for what is allowed: "name", "email", "phone", "address" and "tax_id" of some kinds."""
    return visit.show(
        "portal/information.html",
        status=status,
        heading="Billing information",
        problem="",
        form=form,
        allowed=allowed,
        countries=visit.formats.countries(),
        tax_types=tax_types,
    )


def read_information(form: Form, allowed: Collection[str], formats: Formats) -> dict[str, Any]:
    """Return what was typed of `name`, `email`, `phone` and `address`; None for what is empty.

    Check `form.problems` before using the answer.
    """
    for name, most in _LONGEST.items():
        if len(form.get(name, "")) > most:
            form.problems[name] = f"Use at most {most} characters."
    if "email" in allowed:
        check_email(form)
    country = form.get("country") if "address" in allowed else None
    if country and country not in dict(formats.countries()):
        form.problems["country"] = "Choose a country from the list."
    typed = {name: form.get(name, "").strip() or None for name in (*_PERSON, *_ADDRESS)}
    address = {name: typed[name] for name in _ADDRESS}
    person = {name: typed[name] for name in _PERSON}
    return {**person, "address": address if any(address.values()) else None}
