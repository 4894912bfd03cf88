"""Fetch what a hosted page shows of one customer, each object once."""

from typing import Any

from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.subscribing import LIVE

# What the pages list; a hosted page is for people, not for export.
_PAYMENT_METHODS, _SUBSCRIPTIONS, _INVOICES = 20, 20, 24


class Reader:
    """Reads one customer's billing data through the API, for one request."""

    def __init__(self, account: Account, customer_id: str) -> None:
        self._account = account
        self._seen: dict[str, Json] = {}
        self.customer_id = customer_id

    def _fetch(self, path: str, **params: Any) -> Json:
        if path not in self._seen:
            self._seen[path] = self._account.call("get", path, params)
        return self._seen[path]

    def _list(self, path: str, **params: Any) -> list[Json]:
        return list(self._account.call("get", path, params)["data"])

    def customer(self) -> Json:
        """Return the customer."""
        return self._fetch(f"/v1/customers/{self.customer_id}")

    def product(self, product_id: str) -> Json:
        """Return a product, archived or not."""
        return self._fetch(f"/v1/products/{product_id}")

    def price(self, price_id: str) -> Json:
        """Return a price with its amounts in all currencies."""
        return self._fetch(f"/v1/prices/{price_id}", expand=["currency_options"])

    def products_of(self, subscription: Json) -> dict[str, Json]:
        """Return the products of a subscription's items by id."""
        ids = {item["price"]["product"] for item in subscription["items"]["data"]}
        return {product_id: self.product(product_id) for product_id in ids}

    def subscriptions(self) -> list[Json]:
        """Return the customer's live subscriptions, their prices with all currencies."""
        listed = self._list(
            "/v1/subscriptions",
            customer=self.customer_id,
            status="all",
            limit=_SUBSCRIPTIONS,
        )
        live = [subscription for subscription in listed if subscription["status"] in LIVE]
        for subscription in live:
            for item in subscription["items"]["data"]:
                item["price"] = self.price(item["price"]["id"])
        return live

    def payment_methods(self) -> list[Json]:
        """Return the customer's payment methods, newest first."""
        path = f"/v1/customers/{self.customer_id}/payment_methods"
        return self._list(path, limit=_PAYMENT_METHODS)

    def invoices(self) -> list[Json]:
        """Return the newest invoices that the customer may see: no drafts."""
        listed = self._list("/v1/invoices", customer=self.customer_id, limit=_INVOICES)
        return [invoice for invoice in listed if invoice["status"] != "draft"]

    def tax_ids(self) -> list[Json]:
        """Return the customer's tax ids."""
        return self._list(f"/v1/customers/{self.customer_id}/tax_ids")
