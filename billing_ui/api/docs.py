"""The API's documentation: its OpenAPI document, and a page made of it that needs no script and no network."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from billing_ui.accounts.sessions import session_cookie_name
from billing_ui.api.caller import services_of
from billing_ui.api.errors import EnvelopeRoute
from billing_ui.api.openapi import describe
from billing_ui.api.schemas import (
    MakeEntryLink,
    OpenCheckout,
    OpenOwnPortal,
    OpenPortal,
    ProvisionTeam,
    SignedEvent,
    SignIn,
)
from billing_ui.api.security_headers import document_policy

_BODIES: Final = (
    SignIn,
    OpenPortal,
    OpenOwnPortal,
    OpenCheckout,
    SignedEvent,
    ProvisionTeam,
    MakeEntryLink,
)

router = APIRouter(route_class=EnvelopeRoute, include_in_schema=False)


@router.get("/api/openapi.json")
async def openapi_document(request: Request) -> JSONResponse:
    """Return the OpenAPI document."""
    return JSONResponse(_document(request))


@router.get("/api/docs")
async def documentation(request: Request) -> HTMLResponse:
    """Return the documentation as a page."""
    settings = services_of(request).settings
    page = (
        _templates()
        .get_template("docs.html.jinja")
        .render(document=_document(request), app_name=settings.app_name, base_url=settings.base_url)
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": document_policy(page)})


def _document(request: Request) -> dict[str, Any]:
    return describe(request.app, _BODIES, session_cookie_name(services_of(request).settings))


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["type_of"] = type_of
    environment.filters["with_code"] = with_code
    return environment


def with_code(text: str) -> Markup:
    """Return `text` as HTML, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S704 - escaped first


def type_of(schema: dict[str, Any]) -> str:
    """Return a JSON schema in a few words, such as "integer or null" or "list of Invoice"."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if choices := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(type_of(choice) for choice in choices))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    kind = str(schema.get("type", "anything"))
    return f"{kind} ({schema['format']})" if "format" in schema else kind
