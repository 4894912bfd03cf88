"""The API's description says what really is there, and its page needs nothing from elsewhere."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.api.world import World


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


PATHS = {
    "/api/auth/sign-in": {"post": {"200", "400", "401", "429", "500"}},
    "/api/billing/portal": {
        "post": {"200", "400", "401", "403", "404", "409", "429", "500", "502", "503"}
    },
    "/api/billing/checkout": {
        "post": {"200", "400", "401", "403", "404", "409", "429", "500", "502", "503"}
    },
    "/api/payments/portal": {"post": {"200", "400", "401", "403", "404", "429", "500"}},
    "/api/billing/subscription": {"get": {"200", "400", "401", "403", "404", "429", "500", "503"}},
    "/api/billing/invoices": {"get": {"200", "400", "401", "403", "404", "429", "500", "503"}},
    "/api/billing/invoices/{invoice_id}/pdf": {
        "get": {"303", "400", "401", "403", "404", "409", "429", "500", "502", "503"}
    },
    "/api/webhooks/{provider}": {"post": {"200", "400", "401", "404", "413", "500"}},
    "/api/teams/{external_id}": {"put": {"200", "400", "401", "403", "404", "429", "500", "503"}},
    "/api/sessions": {"post": {"200", "400", "401", "403", "404", "429", "500", "503"}},
    "/api/activity.csv": {"get": {"200", "400", "401", "403", "404", "429", "500", "503"}},
    "/healthz": {"get": {"200", "500"}},
    "/readyz": {"get": {"200", "500", "503"}},
}


async def _document(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/api/openapi.json")
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    return document


async def test_it_names_every_address_and_each_of_its_answers(client: httpx.AsyncClient) -> None:
    document = await _document(client)
    described = {
        path: {method: set(route["responses"]) for method, route in methods.items()}
        for path, methods in document["paths"].items()
    }
    assert described == PATHS


async def test_every_reference_in_it_leads_somewhere(client: httpx.AsyncClient) -> None:
    document = await _document(client)
    references = set(
        re.findall(r'"\$ref": ?"([^"]+)"', (await client.get("/api/openapi.json")).text)
    )
    assert references
    for reference in references:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


async def test_it_tells_bodies_by_their_wire_names(client: httpx.AsyncClient) -> None:
    schemas = (await _document(client))["components"]["schemas"]
    assert list(schemas["OpenPortal"]["properties"]) == [
        *("returnUrl", "team", "configuration", "flow")
    ]
    assert schemas["OpenPortal"]["required"] == ["returnUrl"]
    assert schemas["OpenPortal"]["additionalProperties"] is False
    assert "required" not in schemas["OpenOwnPortal"]
    assert list(schemas["OpenCheckout"]["properties"]) == [
        *("priceId", "quantity", "returnUrl", "team")
    ]


async def test_real_answers_are_what_it_says(client: httpx.AsyncClient, world: World) -> None:
    document = await _document(client)
    person = await world.person()
    await world.customer(person.team, subscribed=True)
    for path in ("/api/billing/subscription", "/api/billing/invoices"):
        answer = (await client.get(path, headers=person.bearer)).json()
        responses = document["paths"][path]["get"]["responses"]
        _check(answer, responses["200"]["content"]["application/json"]["schema"], document)
        failure = (await client.get(path)).json()
        _check(failure, responses["401"]["content"]["application/json"]["schema"], document)


async def test_the_page_shows_every_address_and_loads_nothing(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/docs")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for path in PATHS:
        assert path in response.text
    page = _Page()
    page.feed(response.text)
    assert "script" not in page.tags
    assert all(address.startswith(("/", "#")) for address in page.addresses)
    anchors = {address[1:] for address in page.addresses if address.startswith("#")}
    assert anchors <= page.ids
    assert len(page.ids) == page.id_count


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.id_count = 0
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.addresses.append(value or "")
            elif name == "id":
                self.ids.add(value or "")
                self.id_count += 1


def _check(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Check `value` against the parts of JSON Schema that our description uses."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        _check(value, document["components"]["schemas"][name], document)
    elif "anyOf" in schema:
        if value is None:
            assert {"type": "null"} in schema["anyOf"]
        else:
            (other,) = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
            _check(value, other, document)
    elif "const" in schema:
        assert value == schema["const"]
    elif "enum" in schema:
        assert value in schema["enum"]
    elif schema["type"] == "object":
        assert set(value) == set(schema["properties"])
        for name, field in schema["properties"].items():
            _check(value[name], field, document)
    elif schema["type"] == "array":
        for entry in value:
            _check(entry, schema["items"], document)
    else:
        kinds = {"string": str, "integer": int, "boolean": bool}
        assert type(value) is kinds[schema["type"]]
