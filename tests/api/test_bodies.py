"""Bodies that are not what they should be: always a 400 in the route's own shape that names the field."""

import json
from typing import Any

import httpx
import pytest

from tests.api.world import World

JSON = {"Content-Type": "application/json"}
LARGE = b'{"returnUrl": "/' + b"a" * 70_000 + b'"}'
DEEP = b'{"returnUrl": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"

NOT_JSON = {
    "nothing": (b"", "body: not valid JSON"),
    "half an object": (b'{"returnUrl": "/"', "body: not valid JSON"),
    "two objects": (b"{}{}", "body: not valid JSON"),
    "single quotes": (b"{'returnUrl': '/'}", "body: not valid JSON"),
    "not a number": (b'{"returnUrl": NaN}', "body: not valid JSON"),
    "infinity": (b'{"returnUrl": -Infinity}', "body: not valid JSON"),
    "a huge number": (b'{"returnUrl": ' + b"9" * 5_000 + b"}", "body: not valid JSON"),
    "a byte order mark": (b'\xef\xbb\xbf{"returnUrl": "/"}', "body: not valid JSON"),
    "invalid UTF-8": (b'{"returnUrl": "\xff"}', "body: not UTF-8"),
    "UTF-16": ('{"returnUrl": "/"}'.encode("utf-16"), "body: not UTF-8"),
    "deep nesting": (DEEP, "body: nested too deeply"),
    "too much": (LARGE, "body: larger than 64 KiB"),
    "a list": (b"[]", "body: must be a JSON object"),
    "a string": (b'"/"', "body: must be a JSON object"),
    "null": (b"null", "body: must be a JSON object"),
    "a name twice": (b'{"returnUrl": "/", "returnUrl": "/b"}', "returnUrl: given twice"),
    "a nested name twice": (b'{"flow": {"type": 1, "type": 2}}', "type: given twice"),
}

BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({}, "returnUrl: is required"),
    "null": ({"returnUrl": None}, "returnUrl: must be a valid string"),
    "number": ({"returnUrl": 1}, "returnUrl: must be a valid string"),
    "boolean": ({"returnUrl": True}, "returnUrl: must be a valid string"),
    "list": ({"returnUrl": ["/"]}, "returnUrl: must be a valid string"),
    "too long": ({"returnUrl": "/" + "a" * 2048}, "returnUrl: must have at most 2048 characters"),
    "half a surrogate pair": ({"returnUrl": "/\ud800"}, "returnUrl: must be a valid string"),
    "our name instead of the wire's": ({"return_url": "/"}, "returnUrl: is required"),
    "unknown": ({"returnUrl": "/", "teamId": "x"}, "teamId: unknown field"),
    "unknown and unprintable": ({"returnUrl": "/", "a\n\u202e": 1}, "a\ufffd\ufffd: unknown"),
    "unknown half a surrogate": ({"returnUrl": "/", "\udc00": 1}, "body: must be a valid string"),
    "unknown and long": ({"returnUrl": "/", "a" * 999: 1}, "a" * 64 + ": unknown field"),
    "empty configuration": ({"returnUrl": "/", "configuration": ""}, "configuration: must have"),
    "NUL": ({"returnUrl": "/", "configuration": "a\0"}, "configuration: must not hold control"),
    "unknown flow": ({"returnUrl": "/", "flow": "fly"}, "flow.type: must be 'payment_method"),
    "flow of a wrong type": ({"returnUrl": "/", "flow": 1}, "flow: must be a JSON object"),
    "flow without type": ({"returnUrl": "/", "flow": {}}, "flow.type: is required"),
    "flow with no quantity": (
        {"returnUrl": "/", "flow": {"type": "subscription_update_confirm", "quantity": 0}},
        "flow.quantity: must be",
    ),
    "unknown in flow": (
        {"returnUrl": "/", "flow": {"type": "customer_update", "x": 1}},
        "flow.x: unknown field",
    ),
}

BAD_PURCHASES: dict[str, tuple[dict[str, Any], str]] = {
    "no price": ({}, "priceId: is required"),
    "empty price": ({"priceId": ""}, "priceId: must have at least 1 character"),
    "price with NUL": ({"priceId": "price_\0"}, "priceId: must not hold control characters"),
    "text quantity": ({"priceId": "p", "quantity": "1"}, "quantity: must be a valid integer"),
    "true quantity": ({"priceId": "p", "quantity": True}, "quantity: must be a valid integer"),
    "broken quantity": ({"priceId": "p", "quantity": 1.5}, "quantity: must be a valid integer"),
    "no quantity": ({"priceId": "p", "quantity": 0}, "quantity: must be greater than or equal"),
    "below zero": ({"priceId": "p", "quantity": -1}, "quantity: must be greater than or equal"),
    "a million": ({"priceId": "p", "quantity": 1_000_000}, "quantity: must be less than or equal"),
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


@pytest.mark.parametrize(("body", "message"), NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_not_a_json_object_is_refused(
    client: httpx.AsyncClient, world: World, body: bytes, message: str
) -> None:
    person = await world.person()
    response = await client.post("/api/billing/portal", content=body, headers=person.bearer | JSON)
    _expect_invalid(response, message)


@pytest.mark.parametrize(("body", "message"), NOT_JSON.values(), ids=NOT_JSON)
async def test_in_the_plain_shape_only_that_it_is_invalid(
    client: httpx.AsyncClient, world: World, body: bytes, message: str
) -> None:
    person = await world.person()
    response = await client.post("/api/payments/portal", content=body, headers=person.cookie | JSON)
    if body == b"":
        assert response.status_code == 404  # an empty body is {}, and the team has no customer
    else:
        assert response.status_code == 400
        assert response.json() == {"error": "Invalid request body"}


@pytest.mark.parametrize(("body", "message"), BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_a_bad_field_is_named_as_on_the_wire(
    client: httpx.AsyncClient, world: World, body: dict[str, Any], message: str
) -> None:
    person = await world.person()
    _expect_invalid(await _post(client, "/api/billing/portal", body, person.bearer), message)


@pytest.mark.parametrize(("body", "message"), BAD_PURCHASES.values(), ids=BAD_PURCHASES)
async def test_a_bad_purchase_is_named_as_on_the_wire(
    client: httpx.AsyncClient, world: World, body: dict[str, Any], message: str
) -> None:
    person = await world.person()
    _expect_invalid(await _post(client, "/api/billing/checkout", body, person.bearer), message)


@pytest.mark.parametrize(
    "content_type",
    [
        *("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        *("application/json; charset=latin-1", "application/jsonp", "json", "\x7f;;;"),
    ],
)
async def test_another_content_type_is_refused(
    client: httpx.AsyncClient, world: World, content_type: str
) -> None:
    person = await world.person()
    response = await client.post(
        "/api/billing/portal",
        content=b'{"returnUrl": "/"}',
        headers=person.bearer | {"Content-Type": content_type},
    )
    _expect_invalid(response, "body: Content-Type must be application/json")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8"])
async def test_json_may_say_that_it_is_utf_8(
    client: httpx.AsyncClient, world: World, content_type: str
) -> None:
    person = await world.person()
    response = await client.post(
        "/api/billing/portal",
        content=b'{"returnUrl": "/"}',
        headers=person.bearer | {"Content-Type": content_type},
    )
    assert response.status_code == 404


async def test_a_body_that_does_not_say_its_length_is_read_only_up_to_the_limit(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 16_384

    response = await client.post(
        "/api/billing/portal", content=endless(), headers=person.bearer | JSON
    )
    _expect_invalid(response, "body: larger than 64 KiB")
    assert sent <= 6


async def test_a_secret_in_a_bad_body_is_not_repeated(client: httpx.AsyncClient) -> None:
    body = {"email": "ada@example.com", "password": ["hunter2hunter2"]}
    response = await _post(client, "/api/auth/sign-in", body, {})
    _expect_invalid(response, "password: must be a valid string")
    assert "hunter2" not in response.text


async def _post(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], headers: dict[str, str]
) -> httpx.Response:
    return await client.post(path, content=json.dumps(body).encode(), headers=headers | JSON)


def _expect_invalid(response: httpx.Response, message: str) -> None:
    assert response.status_code == 400, response.text
    answer = response.json()
    assert answer["error"]["code"] == "INVALID_REQUEST"
    assert answer["error"]["message"].startswith(message), answer
