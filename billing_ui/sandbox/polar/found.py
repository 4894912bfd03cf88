"""What a request names: found, or refused in Polar's words."""

from billing_ui.sandbox.polar.errors import missing, wrong
from billing_ui.sandbox.shop.model import Customer, Price, Product
from billing_ui.sandbox.shop.shop import Shop


def living(shop: Shop, customer_id: str) -> Customer:
    """Return a customer that was not deleted.

    Raises:
        Refused: there is none.
    """
    found = shop.peek(Customer, customer_id)
    if found is None or found.deleted_at is not None:
        raise missing("Customer")
    return found


def sold(shop: Shop, product_id: str) -> Price:
    """Return the price of a product that can be bought.

    Raises:
        Refused: there is none, or it is sold no more.
    """
    known = shop.peek(Product, product_id)
    prices = shop.prices(product_id) if known is not None else []
    if known is None or not prices:
        raise wrong("body", "products", "Product does not exist.", product_id)
    if known.archived or prices[0].archived:
        raise wrong("body", "products", "Product is archived.", product_id)
    return prices[0]
