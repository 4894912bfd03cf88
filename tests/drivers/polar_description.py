"""Polar's own description of its API, and whether what our driver asks of it is valid against that."""

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

_BESIDE: Final = Path(__file__).resolve().parents[3] / "shared/data/polar-2026-10.openapi.json"
DESCRIPTION: Final = Path(os.environ.get("POLAR_OPENAPI") or _BESIDE)
"""Where the description is, if it is; it is too large to be kept beside the tests."""
_SERVER: Final = "https://api.polar.sh"


@dataclass(frozen=True)
class Asked:
    """One request as it went out."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes


@dataclass
class Recorder:
    """What was asked of the server at `url`, and so of Polar."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def take(self, request: httpx.Request, body: bytes) -> None:
        """Keep a request, if it is one to Polar's API."""
        url = request.url
        if f"{url.scheme}://{url.netloc.decode()}" == self.url:
            query = tuple(url.params.multi_items())
            self.asked.append(Asked(request.method, url.path, query, dict(request.headers), body))


@contextmanager
def recording(url: str) -> Iterator[Recorder]:
    """Record every request of this process to `url`, repeated ones included."""
    recorder = Recorder(url)
    handle = httpx.AsyncHTTPTransport.handle_async_request

    async def noted(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        recorder.take(request, await request.aread())
        return await handle(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", noted)
        yield recorder


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


def complaint(asked: Asked) -> str:
    """Return what is wrong with a request, by Polar's description; empty when nothing is."""
    api, document = _api()
    request = _request(asked)
    try:
        with warnings.catch_warnings():
            # It knows of ways to sign in that the validator does not.
            warnings.simplefilter("ignore", UserWarning)
            api.validate_request(request)
    except OpenAPIError as error:
        return f"{asked.method} {asked.path}: {error} {error.__cause__ or ''}"
    operation = document["paths"][operation_of(asked)][request.method]
    known = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
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
    """Return the path of a request with names in the place of ids, such as "/v1/customers/{id}"."""
    _, document = _api()
    parts = asked.path.split("/")

    def fits(template: str) -> bool:
        names = template.split("/")
        return len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        )

    found = [template for template in document["paths"] if fits(template)]
    # What is spelled out is meant before what stands for anything.
    return str(min(found, key=lambda template: template.count("{")))
