"""Products: what is sold."""

from stripe import Product, ProductService

from billing_ui.sandbox.core.store import Condition, equals, one_of
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, created_within, refuse
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.resources import prices
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params


@operation(ProductService.create)
def create(account: Account, params: Params) -> Json:
    """Make a product, with its default price where one is given."""
    if "id" in params and account.store.get(params["id"]) is not None:
        raise StripeError(
            f"Product already exists with id {params['id']}.",
            code="resource_already_exists",
            param="id",
        )
    document: Json = {
        "id": params.get("id") or account.new_id("prod", 14),
        "active": True,
        "metadata": {},
        "type": "service",
        "updated": account.now,
    }
    refuse(params, "tax_code", "tax_details")
    product = account.create(
        Product,
        apply(Product, document, params, handled=("id", "default_price_data")),
        "product.created",
    )
    if "default_price_data" in params:
        price = prices.make(account, {**params["default_price_data"], "product": product["id"]})
        product = account.save(product, {**product, "default_price": price["id"]})
    return product


@operation(ProductService.update)
def update(account: Account, params: Params, product_id: str) -> Json:
    """Change a product."""
    before = account.get("product", product_id)
    refuse(params, "tax_code", "tax_details")
    if params.get("default_price"):
        price = account.get("price", params["default_price"], "default_price")
        if price["product"] != product_id:
            raise StripeError(
                f"The price `{price['id']}` does not belong to the product `{product_id}`.",
                param="default_price",
            )
    after = {**apply(Product, before, params), "updated": account.now}
    return account.save(before, after, "product.updated")


@operation(ProductService.retrieve)
def retrieve(account: Account, params: Params, product_id: str) -> Json:
    """Return a product."""
    return account.get("product", product_id)


@operation(ProductService.list)
def list_(account: Account, params: Params) -> Json:
    """List products, newest first."""
    conditions = created_within(params)
    names = ("active", "shippable", "url", "type")
    conditions += [equals(name, params[name]) for name in names if name in params]
    if "ids" in params:
        marks = ", ".join("?" * len(params["ids"]))
        conditions.append(Condition(f"id IN ({marks})", tuple(params["ids"])))
    return account.page("product", params, conditions, url="/v1/products")


@operation(ProductService.delete)
def delete(account: Account, params: Params, product_id: str) -> Json:
    """Delete a product that has no prices."""
    product = account.get("product", product_id)
    if account.store.find("price", [one_of("product", [product_id])], limit=1):
        raise StripeError(
            "This product cannot be deleted because it has one or more user-created prices."
        )
    return account.delete(product, "product.deleted")
