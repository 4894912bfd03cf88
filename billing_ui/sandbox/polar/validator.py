"""Strict validation of requests, by the types that Polar's own SDK has for them."""

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, NotRequired, Union, get_args, get_origin
from uuid import UUID

from polar.v2026_10 import inputs
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict, is_typeddict

from billing_ui.sandbox.polar.errors import invalid, wrong
from billing_ui.sandbox.shop.model import Json

MAX_PAGE = 100
"""How many objects a page has at most; who asks for more gets so many."""

_OURS = frozenset({"self", "request_timeout", "request_access_token"})
_DEEP = re.compile(r"(?P<name>\w+)\[(?P<key>[^\]]+)\]")
_IDS = re.compile(r"(?<!external)(?<!external_customer)(?<!external_member)_id$|^id$")
_METADATA_RULES = {"keys": 50, "key": 40, "value": 500}
"""Documented at the SDK's field `metadata`."""
_WEB_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
_LONGEST_ADDRESS = 2083
_LONGEST_NAME = 256
_MOST_SEATS = 10_000


def parsed(raw: bytes) -> Json:
    """Return the JSON object that a body is.

    Raises:
        Refused: it is none.
    """
    try:
        value = json.loads(raw)
    except ValueError:
        raise wrong("body", "0", "JSON decode error", None, "json_invalid") from None
    if not isinstance(value, dict):
        message = "Input should be a valid dictionary"
        raise wrong("body", "0", message, None, "dict_type")
    return value


def body(schema: Any, given: Json) -> Json:
    """Return the body of a request, validated.

    Args:
        schema: a TypedDict of the SDK's.
        given: what `parsed` returned.

    Raises:
        Refused: something in it is unknown, missing or of another type.
    """
    try:
        checked: Json = _adapter(schema).validate_python(given, strict=True)
    except ValidationError as problem:
        raise _refusal("body", problem) from None
    for name, value in checked.items():
        if value is not None:
            _check_field(name, value)
    return checked


def _check_field(name: str, value: Any) -> None:
    """Refuse what Polar does not take although it is of the type that the SDK has."""
    if _IDS.search(name):
        identity("body", name, value)
    elif name.endswith("metadata"):
        _check_metadata(name, value)
    elif name.endswith("email"):
        check_email(name, value)
    elif name.endswith("_url"):
        if len(value) > _LONGEST_ADDRESS or not _WEB_ADDRESS.fullmatch(value):
            raise wrong("body", name, "Input should be a valid URL", value, "url_parsing")
    elif name.endswith("name"):
        if len(value) > _LONGEST_NAME:
            message = f"String should have at most {_LONGEST_NAME} characters"
            raise wrong("body", name, message, value, "string_too_long")
    elif name.endswith(("seats", "units")):
        if value < 1:
            message = "Input should be greater than or equal to 1"
            raise wrong("body", name, message, value, "greater_than_equal")
        if value > _MOST_SEATS:
            message = f"Input should be less than or equal to {_MOST_SEATS}"
            raise wrong("body", name, message, value, "less_than_equal")


def check_email(name: str, email: str) -> None:
    """Refuse what is no e-mail address.

    Args:
        name: the field of the body in which it stands.
        email: what stands there.

    Raises:
        Refused: it is none.
    """
    if email.count("@") != 1 or email.startswith("@") or email.endswith("@"):
        message = "value is not a valid email address: An email address must have an @-sign."
        raise wrong("body", name, message, email)


def only(wish: Json, known: Collection[str]) -> None:
    """Refuse a field of a body that this sandbox does not have, instead of ignoring it.

    Raises:
        Refused: there is one.
    """
    for name, value in wish.items():
        if name not in known:
            raise wrong("body", name, "This sandbox does not imitate that.", value)


def query(method: Callable[..., Any], given: tuple[tuple[str, str], ...]) -> Json:
    """Return the parameters in the address of a request, validated and with their defaults.

    Args:
        method: the method of the SDK that sends such a request.
        given: names and values, decoded.

    Raises:
        Refused: a parameter is unknown, or not of its type.
    """
    schema, defaults, lists = _parameters(method)
    values: dict[str, Any] = {}
    for name, value in given:
        if not value:
            raise wrong("query", name, "Input should not be empty", value, "string_too_short")
        if deep := _DEEP.fullmatch(name):
            values.setdefault(deep["name"], {})[deep["key"]] = value
        elif name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            earlier = values[name]
            values[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            values[name] = value
    try:
        checked: Json = _adapter(schema).validate_python(values)
    except ValidationError as problem:
        raise _refusal("query", problem) from None
    for name, value in checked.items():
        if name in ("page", "limit") and value < 1:
            raise wrong("query", name, "Input should be greater than 0", value, "greater_than")
        if _IDS.search(name):
            for one in value if isinstance(value, list) else [value]:
                identity("query", name, one)
    found = {**defaults, **checked}
    if "limit" in found:
        found["limit"] = min(found["limit"], MAX_PAGE)
    return found


def identity(place: str, name: str, value: str) -> str:
    """Return an id of Polar's.

    Raises:
        Refused: it is no UUID.
    """
    try:
        return str(UUID(value))
    except ValueError:
        message = "Input should be a valid UUID"
        raise wrong(place, name, message, value, "uuid_parsing") from None


def _check_metadata(name: str, metadata: Json) -> None:
    if len(metadata) > _METADATA_RULES["keys"]:
        raise wrong("body", name, "Too many keys", metadata, "too_long")
    for key, value in metadata.items():
        if len(key) > _METADATA_RULES["key"] or not key:
            raise wrong("body", name, "A key is too long", key, "string_too_long")
        if isinstance(value, str) and len(value) > _METADATA_RULES["value"]:
            raise wrong("body", name, "A value is too long", value, "string_too_long")
        if value == "":
            raise wrong("body", name, "A value is empty", value, "string_too_short")


def _refusal(place: str, problem: ValidationError) -> Exception:
    return invalid(
        [
            {
                "type": error["type"],
                "loc": [place, *error["loc"]],
                "msg": error["msg"],
                "input": error["input"] if isinstance(error["input"], str | int | bool) else None,
            }
            for error in problem.errors(include_url=False, include_context=False)
        ]
    )


@cache
def _adapter(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_strict(schema))


@cache
def _parameters(method: Callable[..., Any]) -> tuple[Any, Json, frozenset[str]]:
    """Return what a method takes: a schema, its defaults, and which of them are always lists."""
    hints = typing.get_type_hints(method)
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in _OURS
    }
    fields = {name: NotRequired[_strict(hints[name])] for name in known}
    lists = frozenset(
        name
        for name in known
        if all(
            get_origin(option) is list
            for option in get_args(hints[name])
            if option is not types.NoneType
        )
        and get_args(hints[name])
    )
    return _closed("Parameters", fields), known, lists


@cache
def _strict(hint: Any) -> Any:
    """Return a type in which nothing unknown is allowed, at any depth."""
    if is_typeddict(hint):
        hints = typing.get_type_hints(hint, vars(inputs), include_extras=True)
        fields = {
            name: NotRequired[_strict(get_args(inner)[0])]
            if get_origin(inner) is NotRequired
            else _strict(inner)
            for name, inner in hints.items()
        }
        return _closed(hint.__name__, fields)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(_strict(one) for one in arguments)]  # noqa: UP007 - made of what was found
    if origin is list:
        return list[_strict(arguments[0])]  # type: ignore[misc]
    if origin is dict:
        return dict[arguments[0], _strict(arguments[1])]  # type: ignore[misc,valid-type]
    return hint


def _closed(name: str, fields: Json) -> Any:
    """Return a TypedDict with these fields and no others."""
    make: Any = TypedDict
    made = make(name, fields)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made
