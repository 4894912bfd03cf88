"""What a Lemon Squeezy store sells: products, their variants, and what those cost now."""

from typing import Any

import pytest

from billing_ui.payments.lemonsqueezy.catalog import catalog_of, described
from billing_ui.payments.lemonsqueezy.resources import (
    PriceAttributes,
    ProductAttributes,
    Resource,
    VariantAttributes,
)
from billing_ui.payments.types import CatalogSnapshot
from tests.unit.payments.lemon import lemon_driver, resource, serving_lemon

CREATED = "2026-01-03T10:00:00.000000Z"
LATER = "2026-02-03T10:00:00.000000Z"


def product(id_: str = "11", **fields: Any) -> Resource[ProductAttributes]:
    """Return a published product, changed by `fields`."""
    values = {"store_id": 1, "name": f"P{id_}", "status": "published", "created_at": CREATED}
    return resource(ProductAttributes, id_, **(values | fields))


def variant(id_: str = "12", **fields: Any) -> Resource[VariantAttributes]:
    """Return the one variant of a product, changed by `fields`."""
    values = {"product_id": 11, "name": "Default", "status": "pending", "created_at": CREATED}
    return resource(VariantAttributes, id_, **(values | fields))


def price(id_: str = "91", **fields: Any) -> Resource[PriceAttributes]:
    """Return a monthly price, changed by `fields`."""
    values = {
        "variant_id": 12,
        "category": "subscription",
        "scheme": "standard",
        "unit_price": 2000,
        "renewal_interval_unit": "month",
        "renewal_interval_quantity": 1,
        "created_at": CREATED,
    }
    return resource(PriceAttributes, id_, **(values | fields))


def only(catalog: CatalogSnapshot) -> Any:
    """Return the one product and its one price."""
    [one] = catalog.products
    [its] = one.prices
    return one, its


def test_a_variant_is_what_is_bought() -> None:
    one, its = only(catalog_of([product()], [variant()], [price()], "usd"))
    assert (one.id, one.name, one.active) == ("11", "P11", True)
    assert (its.id, its.product_id, its.active) == ("12", "11", True)
    assert (its.currency, its.amounts, its.interval, its.interval_count) == (
        "usd",
        {"usd": 2000},
        "month",
        1,
    )


def test_the_newest_price_counts_whatever_the_order_of_the_list() -> None:
    prices = [price("92", created_at=LATER, unit_price=2500), price("91"), price("90")]
    for listed in (prices, prices[::-1]):
        assert only(catalog_of([product()], [variant()], listed, "usd"))[1].amounts == {"usd": 2500}


def test_of_two_prices_of_one_second_the_later_id_counts() -> None:
    listed = [price("100", unit_price=3000), price("99", unit_price=2000)]
    assert only(catalog_of([product()], [variant()], listed, "usd"))[1].amounts == {"usd": 3000}


@pytest.mark.parametrize(
    ("status", "others", "for_sale"),
    [
        ("pending", 0, True),
        ("pending", 1, False),
        ("published", 0, True),
        ("published", 1, True),
        ("draft", 0, False),
        ("draft", 1, False),
    ],
)
def test_which_variants_are_for_sale(status: str, others: int, for_sale: bool) -> None:
    more = [variant(str(20 + n), status="published") for n in range(others)]
    priced = [price(), *(price(f"9{one.id}", variant_id=int(one.id)) for one in more)]
    catalog = catalog_of([product()], [variant(status=status), *more], priced, "usd")
    assert {one.id: one.active for one in catalog.products[0].prices}["12"] is for_sale


def test_nothing_of_a_draft_is_for_sale() -> None:
    one, its = only(catalog_of([product(status="draft")], [variant()], [price()], "usd"))
    assert (one.active, its.active) == (False, False)


def test_what_belongs_to_another_store_is_left_out() -> None:
    foreign = variant("13", product_id=99)
    catalog = catalog_of([product()], [variant(), foreign], [price(), price(variant_id=13)], "usd")
    assert [its.id for one in catalog.products for its in one.prices] == ["12"]


def test_a_variant_without_a_price_is_left_out() -> None:
    assert catalog_of([product()], [variant()], [], "usd").products[0].prices == ()


def test_something_sold_once_has_no_interval() -> None:
    once = price(category="one_time", renewal_interval_unit=None, renewal_interval_quantity=None)
    assert only(catalog_of([product()], [variant()], [once], "usd"))[1].interval is None


@pytest.mark.parametrize("scheme", ["graduated", "volume", "package"])
def test_what_is_sold_by_number_says_so_and_has_no_single_amount(scheme: str) -> None:
    one, its = only(catalog_of([product()], [variant()], [price(scheme=scheme)], "usd"))
    assert (one.unit_label, its.amounts) == ("unit", {})


def test_the_cheapest_product_and_the_shortest_interval_come_first() -> None:
    catalog = catalog_of(
        [product("11"), product("21", created_at=LATER)],
        [
            variant("12", status="published", sort=2),
            variant("13", status="published", sort=1),
            variant("22", product_id=21),
        ],
        [
            price("91", unit_price=5000),
            price("92", variant_id=13, unit_price=48000, renewal_interval_unit="year"),
            price("93", variant_id=22, unit_price=900),
        ],
        "usd",
    )
    assert [one.id for one in catalog.products] == ["21", "11"]
    assert [its.id for its in catalog.products[1].prices] == ["12", "13"]


@pytest.mark.parametrize(
    ("html", "text", "points"),
    [
        ("", "", ()),
        ("Plain words", "Plain words", ()),
        ("<p>For&nbsp;teams &amp; friends</p>", "For teams & friends", ()),
        ("<p>One</p><p>Two</p>", "One Two", ()),
        (
            "<p>All in</p><ul><li>SSO</li><li> Audit <b>log</b></li></ul>",
            "All in",
            ("SSO", "Audit log"),
        ),
        ("<ul><li><p>In a paragraph</p></li><li></li></ul>", "", ("In a paragraph",)),
        ("<ul><li>Unclosed<li>Twice", "", ("Unclosed", "Twice")),
        ("</li></p>Odd", "Odd", ()),
    ],
)
def test_a_description_is_read_as_text_and_points(
    html: str, text: str, points: tuple[str, ...]
) -> None:
    assert described(html) == (text, points)


async def test_every_product_is_fetched_however_many_pages_there_are() -> None:
    async with serving_lemon() as lemon:
        for number in range(105):
            lemon.plan(f"P{number}", 100 + number)
        driver = lemon_driver(lemon.url)
        catalog = await driver.fetch_catalog()
        await driver.close()
    assert [one.name for one in catalog.products] == [f"P{number}" for number in range(105)]
    assert all(len(one.prices) == 1 for one in catalog.products)


async def test_what_a_product_offers_is_told() -> None:
    async with serving_lemon() as lemon:
        made = lemon.shop.create_product("Pro", description="For <all>", features=["A & B", "C"])
        lemon.shop.create_price(made.id, 900)
        driver = lemon_driver(lemon.url)
        [one] = (await driver.fetch_catalog()).products
        await driver.close()
    assert (one.description, one.features) == ("For <all>", ("A & B", "C"))
