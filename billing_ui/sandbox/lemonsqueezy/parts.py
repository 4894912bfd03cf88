"""What all of Lemon Squeezy's JSON:API resources are made of, and how it writes times, money and numbers."""

from datetime import UTC, datetime

from billing_ui.sandbox.shop.model import Json, Record
from billing_ui.sandbox.shop.shop import Shop

STORE = 1
"""The id of the one store."""


def moment(seconds: int | None) -> str | None:
    """Return Unix time as Lemon Squeezy writes it."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def money(amount: int) -> str:
    """Return US cents in words, such as `$9.99`."""
    return f"${amount / 100:,.2f}"


def formatted(word: str) -> str:
    """Return a status for people: `past_due` is `Past due`."""
    return word.replace("_", " ").capitalize()


def price_id(price: str) -> int:
    """Return the id of the price that the shop's price has as Lemon Squeezy's variant."""
    return int(f"9{price}")


def resource(
    shop: Shop, kind: str, id_: str, attributes: Json, relations: tuple[str, ...] = ()
) -> Json:
    """Return a resource object; `relations` are the names of what it is related to."""
    own = f"{shop.origin}/v1/{kind}/{id_}"
    shape: Json = {"type": kind, "id": id_, "attributes": attributes}
    if relations:
        shape["relationships"] = {
            name: {"links": {"related": f"{own}/{name}", "self": f"{own}/relationships/{name}"}}
            for name in relations
        }
    return shape | {"links": {"self": own}}


def times(record: Record) -> Json:
    """Return when something was made, and last changed."""
    return {"created_at": moment(record.created), "updated_at": moment(record.updated)}
