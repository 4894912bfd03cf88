"""Laying parameters over an object: most fields of most resources are simply stored as sent."""

import re
from collections.abc import Collection
from typing import Any

from billing_ui.sandbox.core.store import Condition, within
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.shapes import (
    Json,
    SDKClass,
    blank,
    fields,
    is_object,
    is_optional,
    members,
)
from billing_ui.sandbox.stripe.validator import Params, wire_name


def apply(cls: SDKClass, document: Json, params: Params, *, handled: Collection[str] = ()) -> Json:
    """Return `document` with the parameters that are fields of its class laid over it.

    An empty string empties a field, hashes are merged, metadata key by key.

    Args:
        cls: The SDK's class of the object.
        document: As stored; it is not changed.
        params: Validated parameters.
        handled: Parameters the caller sees to itself.

    Raises:
        StripeError: A parameter is one the sandbox knows no meaning for.
    """
    sent = {name: value for name, value in params.items() if name not in handled}
    return _merge(cls, document, sent, [])


def _merge(cls: SDKClass, document: Json, params: Params, path: list[str]) -> Json:
    hints = fields(cls)
    merged = dict(document)
    for name, value in params.items():
        where = [*path, name]
        if name not in hints:
            raise StripeError.unsupported(wire_name(where))
        if name == "metadata":
            merged[name] = merge_metadata(document.get(name), value)
            continue
        nested = next((member for member in members(hints[name]) if is_object(member)), None)
        if value == "":
            merged[name] = _emptied(hints[name])
        elif nested is not None and isinstance(value, dict):
            current = document.get(name) or blank(nested)
            merged[name] = _merge(nested, current, value, where)
        else:
            merged[name] = value
    return merged


def merge_metadata(current: dict[str, str] | None, sent: dict[str, str] | str) -> dict[str, str]:
    """Return metadata after an update: an empty value drops its key, an empty string all."""
    if isinstance(sent, str):
        return {}
    merged = {**(current or {}), **sent}
    return {key: value for key, value in merged.items() if value != ""}


def _emptied(hint: Any) -> Any:
    return None if is_optional(hint) else []


def created_within(params: Params, field: str = "created") -> list[Condition]:
    """Return the conditions of a `created` filter: a Unix time, or bounds."""
    bounds = params.get(field)
    if bounds is None:
        return []
    if isinstance(bounds, int):
        return [Condition(f"{field} = ?", (bounds,))]
    return within(field, bounds)


def check_email(params: Params, name: str) -> None:
    """See that a parameter, where it is sent, is an e-mail address.

    Raises:
        StripeError: It is not (`email_invalid`).
    """
    email = params.get(name)
    if email and not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise StripeError(f"Invalid email address: {email}", code="email_invalid", param=name)


def refuse(params: Params, *names: str) -> None:
    """Refuse parameters Stripe takes and the sandbox does not.

    Raises:
        StripeError: One of them was sent.
    """
    for name, value in params.items():
        if name in names and value not in ("", [], {}):
            raise StripeError.unsupported(name)
