"""Reading request bodies strictly: one typed object, or a message that starts with the wire name of the field."""

import json
import re
from email.message import Message
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect

from billing_ui.api.errors import BadRequest, BodyTooLarge

MAX_BODY_BYTES: Final = 64 * 1024
_MAX_FORM_FIELDS: Final = 32
_MAX_NAME: Final = 64

Body = TypeVar("Body", bound=BaseModel)


async def read_json(request: Request, model: type[Body], *, empty: bool = False) -> Body:
    """Return the JSON body as a `model`.

    Args:
        empty: whether a body of no bytes counts as `{}`, whatever its content type.

    Raises:
        BadRequest: it is too large, not JSON, not an object, or a field is missing, unknown or of the wrong type.
    """
    raw = await _read(request)
    if not (empty and not raw):
        _require_content_type(request, "application/json")
    document = _parse(raw) if raw or not empty else {}
    if not isinstance(document, dict):
        raise BadRequest("body: must be a JSON object")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise BadRequest(_first_fault(error)) from None


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a URL-encoded HTML form; of a repeated field the last one.

    Raises:
        BadRequest: it is too large or not such a form.
    """
    raw = await _read(request)
    _require_content_type(request, "application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FORM_FIELDS,
        )
    except ValueError:
        raise BadRequest("body: not a URL-encoded form in UTF-8") from None
    return dict(pairs)


async def read_bytes(request: Request, limit: int) -> bytes:
    """Return the body as it came, of at most `limit` bytes; what it says of its own length is not relied on.

    Raises:
        BodyTooLarge: it is larger; the rest of it was not read.
        BadRequest: it was cut off.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > limit:
        raise BodyTooLarge(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise BodyTooLarge(limit)
    except ClientDisconnect:
        raise BadRequest("body: cut off") from None
    return bytes(body)


async def _read(request: Request) -> bytes:
    try:
        return await read_bytes(request, MAX_BODY_BYTES)
    except BodyTooLarge as error:
        # These addresses have one answer to every body they cannot take.
        raise BadRequest(str(error)) from None


def _require_content_type(request: Request, wanted: str) -> None:
    given = request.headers.get("content-type", "")
    if given == wanted:
        # As nearly everybody writes it; a parser for mail takes as long as a query.
        return
    header = Message()
    header["Content-Type"] = given
    charset = header.get_content_charset("utf-8")
    if header.get_content_type() != wanted or charset != "utf-8":
        raise BadRequest(f"body: Content-Type must be {wanted}")


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise BadRequest("body: not UTF-8") from None
    except RecursionError:
        raise BadRequest("body: nested too deeply") from None
    except ValueError:
        raise BadRequest("body: not valid JSON") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BadRequest(f"{_shown(name)}: given twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> Any:
    # Python would accept NaN and the infinities; JSON knows neither.
    raise ValueError(name)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(_shown(str(part)) for part in fault["loc"])
    return f"{field or 'body'}: {_sentence(fault)}"


def _sentence(fault: ErrorDetails) -> str:
    match fault["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "unknown field"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a JSON object"
        case "value_error":
            return str(fault["ctx"]["error"])
        case _:
            return re.sub(r"^(Input|String) should", "must", fault["msg"])


def _shown(name: str) -> str:
    """Return a name from the wire fit to be repeated: printable, and no longer than a name is."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for letter in name[:_MAX_NAME]
    )
