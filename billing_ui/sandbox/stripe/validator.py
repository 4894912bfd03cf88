"""Strict validation of parameters, made from the TypedDicts the SDK itself ships for each operation."""

import difflib
import json
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    PlainValidator,
    Tag,
    TypeAdapter,
    ValidationError,
    WrapValidator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from stripe._request_options import RequestOptions
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import TypedDict, is_typeddict

from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.shapes import members

Params = dict[str, Any]

DOCUMENTED_LIMITS = {"keys": 50, "key": 40, "value": 500}
"""Of metadata, from https://docs.stripe.com/api/metadata."""


def validate(params_type: Any, params: Params) -> Params:
    """Return `params` with every value in its declared type.

    Args:
        params_type: The SDK's TypedDict of the operation, or None where it takes no parameters.
        params: As decoded from the wire: nested dicts and lists with strings for leaves.

    Raises:
        StripeError: The first thing wrong, in Stripe's words.
    """
    if params_type is None:
        for name in params:
            raise _unknown(name, ())
        return {}
    try:
        validated: Params = _adapter(params_type).validate_python(params)
    except ValidationError as problem:
        raise _first_error(problem, params_type) from None
    _check_documented_rules(validated, "")
    return validated


def encode(value: Any) -> Any:
    """Return Python values as they look when they come over the wire: strings, no nulls."""
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# ---------------------------------------------------------------------------------- scalar types


def _problem(message: str, code: str | None = None) -> PydanticCustomError:
    return PydanticCustomError("stripe", "{message}", {"message": message, "code": code or ""})


def _scalar(value: Any, kind: str) -> str:
    if isinstance(value, dict | list):
        raise _problem(f"Invalid {kind}: {json.dumps(value)}")
    return str(value)


def _string(value: Any) -> str:
    text = _scalar(value, "string")
    if not text:
        raise _problem(
            "You passed an empty string for '{param}'. We assume empty values are an attempt to "
            "unset a parameter; however '{param}' cannot be unset. You should remove '{param}' "
            "from your request or supply a non-empty value.",
            "parameter_invalid_empty",
        )
    return text


def _integer(value: Any) -> int:
    text = _scalar(value, "integer")
    if not re.fullmatch(r"-?\d{1,15}", text, re.ASCII):
        raise _problem(f"Invalid integer: {text}", "parameter_invalid_integer")
    return int(text)


def _boolean(value: Any) -> bool:
    text = _scalar(value, "boolean")
    if text not in ("true", "false"):
        raise _problem(f"Invalid boolean: {text}")
    return text == "true"


def _decimal(value: Any) -> str:
    text = _scalar(value, "decimal")
    try:
        finite = Decimal(text).is_finite()
    except InvalidOperation:
        finite = False
    if not finite or len(text) > 30 or "e" in text.lower():
        raise _problem(f"Invalid decimal: {text}")
    return text


def _float(value: Any) -> float:
    return float(_decimal(value))


def _one_of(values: Iterable[Any]) -> Callable[[Any], Any]:
    by_text = {encode(value): value for value in values}
    named = [text for text in by_text if text] or ["an empty string"]

    def check(value: Any) -> Any:
        text = _scalar(value, "string")
        if text not in by_text:
            raise _problem("Invalid {param}: must be one of " + _oxford(named))
        return by_text[text]

    return check


def _any_of(checks: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Try each; the complaint of the last one counts."""

    def check(value: Any) -> Any:
        for attempt in checks[:-1]:
            try:
                return attempt(value)
            except PydanticCustomError:
                continue
        return checks[-1](value)

    return check


def _oxford(words: list[str]) -> str:
    if len(words) < 3:
        return " or ".join(words)
    return ", ".join(words[:-1]) + f", or {words[-1]}"


SCALARS: dict[Any, Callable[[Any], Any]] = {
    str: _string,
    int: _integer,
    bool: _boolean,
    float: _float,
    Decimal: _decimal,
}


# ------------------------------------------------------------------------------- compound types


def _as_list(value: Any) -> Any:
    """Take `a[0]=x&a[1]=y`, which decodes to a hash of numbers, for the array it is."""
    if isinstance(value, dict) and value and all(key.isdecimal() for key in value):
        return [value[key] for key in sorted(value, key=int)]
    return value


def _shape(value: Any) -> str:
    if isinstance(value, list):
        return "@list"
    if isinstance(value, dict):
        return "@list" if isinstance(_as_list(value), list) else "@object"
    return "@scalar"


def _emptyable(value: Any, handler: Callable[[Any], Any]) -> Any:
    return "" if value == "" else handler(value)


def _hints(params_type: Any) -> dict[str, Any]:
    # The inherited request options use names their heirs' modules do not import.
    names = {"Mapping": Mapping, "StripeContext": str}
    return typing.get_type_hints(params_type, localns=names, include_extras=True)


@cache
def _adapter(params_type: Any) -> TypeAdapter[Params]:
    return TypeAdapter(_rebuild_class(params_type))


@cache
def _rebuild_class(params_type: Any) -> Any:
    """Return the TypedDict for Pydantic: no request options in it, nothing unknown allowed."""
    hints = _hints(params_type)
    rebuilt = {
        name: _rebuild_field(hint)
        for name, hint in hints.items()
        if name not in RequestOptions.__annotations__
    }
    # Called through Any: to a type checker a TypedDict is always written out.
    make: Any = TypedDict
    made = make(params_type.__name__, rebuilt)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made


def _rebuild_field(hint: Any) -> Any:
    if get_origin(hint) is NotRequired or get_origin(hint) is typing.NotRequired:
        return NotRequired[_rebuild(get_args(hint)[0])]
    return _rebuild(hint)


def _rebuild(hint: Any) -> Any:
    """Return a type for Pydantic that takes what Stripe takes, and nothing else."""
    options = [
        member
        for member in members(hint)
        if member is not type(None) and get_origin(member) is not UntypedStripeObject
    ]
    literals = [
        value for member in options if get_origin(member) is Literal for value in get_args(member)
    ]
    named = [value for value in literals if value != ""]
    if named and str in options:
        # `Literal["a"] | str` is how the SDK leaves room for later values; today's are the Literal.
        options.remove(str)
    rebuilt = _rebuild_union(options, named)
    if "" in literals:
        return Annotated[rebuilt, WrapValidator(_emptyable)]
    return rebuilt


def _rebuild_union(options: list[Any], named: list[Any]) -> Any:
    by_shape: dict[str, Any] = {}
    checks = [_one_of(named)] if named else []
    for option in options:
        origin = get_origin(option)
        if origin is list:
            item = _rebuild(get_args(option)[0])
            by_shape["@list"] = Annotated[list[item], BeforeValidator(_as_list)]  # type: ignore[valid-type]
        elif origin is dict:
            by_shape["@object"] = dict[str, _rebuild_map_value(get_args(option)[1])]  # type: ignore[misc]
        elif is_typeddict(option):
            by_shape["@object"] = _rebuild_class(option)
        elif option in SCALARS:
            checks.append(SCALARS[option])
    if checks:
        by_shape["@scalar"] = Annotated[Any, PlainValidator(_any_of(checks))]
    if not by_shape:  # nothing but Literal[""]: what remains can only be emptied
        return Annotated[Any, PlainValidator(_one_of([""]))]
    if len(by_shape) == 1:
        return next(iter(by_shape.values()))
    tagged = tuple(Annotated[option, Tag(tag)] for tag, option in by_shape.items())
    return Annotated[Union[tagged], Discriminator(_shape)]  # noqa: UP007 - made at run time


def _rebuild_map_value(hint: Any) -> Any:
    # A key of a map is unset by an empty value.
    rebuilt = _rebuild(hint)
    return Annotated[rebuilt, WrapValidator(_emptyable)] if hint is str else rebuilt


# ------------------------------------------------------------------------------------- complaints


def _first_error(problem: ValidationError, params_type: Any) -> StripeError:
    """Return the complaint Stripe makes first: unknown, then missing, then ill-typed parameters."""
    order = {"extra_forbidden": 0, "missing": 1}
    first = min(problem.errors(include_url=False), key=lambda e: order.get(e["type"], 2))
    path = [part for part in first["loc"] if not str(part).startswith("@")]
    param = wire_name(path)
    if first["type"] == "extra_forbidden":
        return _unknown(param, _names_at(params_type, path[:-1]))
    if first["type"] == "missing":
        return StripeError.missing(param)
    return StripeError(
        _message(first).replace("{param}", param),
        code=first.get("ctx", {}).get("code") or None,
        param=param,
    )


def _message(error: ErrorDetails) -> str:
    if error["type"] == "stripe":
        return str(error["ctx"]["message"])
    return "Invalid array" if error["type"] == "list_type" else "Invalid object"


def _unknown(param: str, known: Iterable[str]) -> StripeError:
    head, _, name = param.rstrip("]").rpartition("[")
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.8)
    hint = f" Did you mean {f'{head}[{close[0]}]' if head else close[0]}?" if close else ""
    return StripeError(
        f"Received unknown parameter: {param}{'.' if hint else ''}{hint}",
        code="parameter_unknown",
        param=param,
    )


def _names_at(params_type: Any, path: list[str | int]) -> list[str]:
    """Return the parameters there are at a path."""
    current: Any = params_type
    for part in path:
        hint = _hints(current).get(str(part))
        if isinstance(part, int) or hint is None:
            continue
        stack = [hint]
        while stack:
            member = stack.pop()
            if is_typeddict(member):
                current = member
            else:
                stack.extend(get_args(member))
    names: Iterable[str] = getattr(current, "__annotations__", {})
    return [name for name in names if name not in RequestOptions.__annotations__]


def wire_name(path: Iterable[str | int]) -> str:
    """Return a path as Stripe writes it: `items[0][price]`."""
    head, *rest = [str(part) for part in path]
    return head + "".join(f"[{part}]" for part in rest)


def _check_documented_rules(params: Params, prefix: str) -> None:
    """Check what Stripe documents beyond types: metadata's limits, absolute URLs, page sizes."""
    for name, value in params.items():
        param = f"{prefix}[{name}]" if prefix else name
        if name == "metadata" and isinstance(value, dict):
            _check_metadata(value, param)
        elif isinstance(value, dict):
            _check_documented_rules(value, param)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    _check_documented_rules(item, f"{param}[{index}]")
        elif value and (name == "url" or name.endswith("_url")) and not is_url(value):
            raise StripeError("Not a valid URL", code="url_invalid", param=param)
        elif name == "limit" and not prefix and not 1 <= value <= 100:
            raise StripeError(
                f"This value must be {'greater' if value < 1 else 'less'} than or equal to "
                f"{1 if value < 1 else 100} (it currently is '{value}').",
                code="parameter_invalid_integer",
                param="limit",
            )


def _check_metadata(metadata: dict[str, str], param: str) -> None:
    limits = DOCUMENTED_LIMITS
    if len(metadata) > limits["keys"]:
        raise StripeError(
            f"Metadata can have at most {limits['keys']} keys, but you passed in {len(metadata)}.",
            param=param,
        )
    for key, value in metadata.items():
        if len(key) > limits["key"]:
            raise StripeError(
                f"Metadata keys can have up to {limits['key']} characters, but you passed in a key "
                f"that is {len(key)} characters. Invalid key: {key}",
                param=param,
            )
        if len(value) > limits["value"]:
            raise StripeError(
                f"Metadata values can have up to {limits['value']} characters, but you passed in a "
                f"value that is {len(value)} characters. Invalid value: {value[:40]}...",
                param=f"{param}[{key}]",
            )


def is_url(text: str) -> bool:
    """Whether this is an absolute http(s) URL."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not re.search(r"\s", text)
