"""Polar's own description of its API, and whether what is asked of it, and what is answered, is valid against that."""

import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from uuid import UUID

import httpx
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.polar_requests import DESCRIPTION, Asked

_SERVER: Final = "https://api.polar.sh"
NEWER: Final = ("GET /v1/customers/{id}/members",)
"""What Polar's SDK asks for and the description, which is a little older, does not know."""


@dataclass
class _Request:
    """A request in the form in which the validator takes it."""

    host_url: str
    path: str
    method: str
    body: bytes | None
    content_type: str
    parameters: RequestParameters


@dataclass
class _Answer:
    """An answer in the form in which the validator takes it."""

    status_code: int
    content_type: str
    headers: Headers
    data: bytes | None


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False


@cache
def _api() -> tuple[OpenAPI, dict[str, Any]]:
    document = json.loads(DESCRIPTION.read_bytes())
    for operation in (one for path in document["paths"].values() for one in path.values()):
        # The validator misses a filter by metadata, which has no fixed name, wherever there is none.
        operation["parameters"] = [
            one for one in operation.get("parameters", ()) if one.get("style") != "deepObject"
        ]
        for parameter in operation["parameters"]:
            # Nor does it see that what may be one or several is several, be there only one.
            several = [one for one in parameter["schema"].get("anyOf", ()) if "items" in one]
            parameter["schema"] = several[0] if several else parameter["schema"]
    # That the description itself is well made is its author's concern, and takes long to find out.
    config = Config(spec_validator_cls=None, extra_format_validators={"uuid4": _is_uuid})
    return OpenAPI.from_dict(document, config=config), document


def complaints(asked: Iterable[Asked]) -> list[str]:
    """Return what is wrong with requests, by Polar's description.

    Of those that no SDK made only such count as were not refused: some tests are wrong on purpose.
    """
    judged = [one for one in asked if one.by_the_sdk or not one.refused]
    return [wrong for one in judged if (wrong := complaint(one))]


def complaint(asked: Asked) -> str:
    """Return what is wrong with a request, by Polar's description; empty when nothing is."""
    operation = operation_of(asked)
    if operation in NEWER:
        return ""
    api, document = _api()
    try:
        with warnings.catch_warnings():
            # It knows of ways to sign in that the validator does not, and of filters that it would rather not have.
            warnings.simplefilter("ignore")
            api.validate_request(_request(asked))
    except OpenAPIError as error:
        return f"{asked.method} {asked.path}: {error} {error.__cause__ or ''}"
    method, _, path = operation.partition(" ")
    parameters = document["paths"][path][method.lower()]["parameters"]
    known = {one["name"] for one in parameters if one["in"] == "query"}
    unknown = sorted(
        {name for name, _ in asked.query if name.partition("[")[0] != "metadata"} - known
    )
    return f"{asked.method} {asked.path}: unknown {', '.join(unknown)}" if unknown else ""


def complaint_of_answer(asked: Asked, answer: httpx.Response) -> str:
    """Return what is wrong with what a request was answered; empty when nothing is."""
    api, _ = _api()
    answered = _Answer(
        status_code=answer.status_code,
        content_type=answer.headers.get("content-type", ""),
        headers=Headers(dict(answer.headers)),
        data=answer.content or None,
    )
    try:
        api.validate_response(_request(asked), answered)
    except OpenAPIError as error:
        reasons = getattr(error.__cause__, "schema_errors", None) or [error.__cause__]
        told = "; ".join(str(getattr(one, "message", one)) for one in reasons)
        return f"{asked.method} {asked.path}: {error!s:.80} {told}"
    return ""


def _request(asked: Asked) -> _Request:
    return _Request(
        host_url=_SERVER,
        path=asked.path,
        method=asked.method.lower(),
        body=asked.body or None,
        content_type=asked.headers.get("content-type", "").partition(";")[0],
        parameters=RequestParameters(
            query=ImmutableMultiDict(asked.query), header=Headers(asked.headers)
        ),
    )


def operation_of(asked: Asked) -> str:
    """Return what a request is, with names in the place of ids, such as "GET /v1/customers/{id}"; empty if unknown."""
    parts = asked.path.split("/")

    def fits(operation: str) -> bool:
        method, _, template = operation.partition(" ")
        names = template.split("/")
        return (method, len(names)) == (asked.method, len(parts)) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        )

    # What is spelled out is meant before what stands for anything.
    found = filter(fits, (*described(), *NEWER))
    return min(found, key=lambda operation: operation.count("{"), default="")


@cache
def described() -> frozenset[str]:
    """Return every operation that the description has."""
    _, document = _api()
    paths = document["paths"].items()
    return frozenset(f"{method.upper()} {path}" for path, methods in paths for method in methods)
