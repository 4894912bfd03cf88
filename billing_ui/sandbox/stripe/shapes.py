"""What the SDK's own classes declare about Stripe's objects: their fields, and what can be expanded."""

import ast
import copy
import importlib
import inspect
import sys
import types
from functools import cache
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

from stripe import ListObject, SearchResultObject, StripeObject
from stripe._stripe_object import UntypedStripeObject

Json = dict[str, Any]

SDKClass = Any
"""One of the classes the SDK has for Stripe's objects; typed loosely, for mypy cannot hash them."""


@cache
def _imports(module_name: str) -> dict[str, tuple[str, str]]:
    """Return name -> (module, original name) of a module's imports, those for type checkers too."""
    tree = ast.parse(inspect.getsource(sys.modules[module_name]))
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


class _Names(dict[str, Any]):
    """The names an annotation of a module may use, imported when first asked for."""

    def __init__(self, module_name: str) -> None:
        super().__init__(vars(sys.modules[module_name]))
        self._module_name = module_name

    def __missing__(self, name: str) -> Any:
        try:
            module, original = _imports(self._module_name)[name]
            return getattr(importlib.import_module(module), original)
        except (KeyError, ImportError, AttributeError):
            # The generated package names a few classes it does not ship.
            return Any


def resolve(hint: Any, module_name: str) -> Any:
    """Return an annotation with its outermost forward references replaced by the classes meant."""
    while isinstance(hint, str | ForwardRef):
        text = hint if isinstance(hint, str) else hint.__forward_arg__
        hint = eval(text, {}, _Names(module_name))  # noqa: S307 - the SDK's own source
    return hint


@cache
def fields(cls: SDKClass) -> dict[str, Any]:
    """Return the annotations of the fields of an SDK class, those of its parents included."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if not issubclass(base, StripeObject) or base is StripeObject:
            continue
        for name, hint in inspect.get_annotations(base).items():
            if not name.startswith("_") and name != "OBJECT_NAME":
                found[name] = resolve(hint, base.__module__)
    return found


def members(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def is_optional(hint: Any) -> bool:
    """Whether null is a value."""
    return type(None) in members(hint)


def is_object(hint: Any) -> bool:
    """Whether this is one of the SDK's classes with declared fields."""
    return (
        isinstance(hint, type)
        and issubclass(hint, StripeObject)
        and not issubclass(hint, UntypedStripeObject)
        and hint not in (ListObject, SearchResultObject)
    )


def _empty(hint: Any) -> Any:
    """Return the value a required field has when nothing is said of it."""
    origin = get_origin(hint) or hint
    first = members(hint)[0]
    if origin is list:
        return []
    if origin is UntypedStripeObject:
        return {}
    if origin is ListObject:
        return {"object": "list", "data": [], "has_more": False, "url": ""}
    if get_origin(first) is Literal and len(get_args(first)) == 1 and first is hint:
        return get_args(first)[0]
    if hint in (bool, int, float):
        return hint()
    if is_object(hint):
        return blank(hint)
    raise LookupError


def blank(cls: SDKClass) -> Json:
    """Return an object with every field Stripe would show, empty wherever it may be.

    Fields without a meaningful empty value (ids, names, currencies) are absent: whoever makes the
    object names them.
    """
    return copy.deepcopy(_blank(cls))


@cache
def _blank(cls: SDKClass) -> Json:
    document: Json = {}
    for name, hint in fields(cls).items():
        if name == "deleted":
            continue
        if is_optional(hint):
            document[name] = None
            continue
        try:
            document[name] = _empty(hint)
        except LookupError:
            continue
    return document


def complete(cls: SDKClass, document: Json) -> Json:
    """Return `document` with every declared field it lacks, at every depth."""
    # As Stripe has it: what it is comes first.
    filled: Json = {name: document[name] for name in ("id", "object") if name in document}
    filled |= blank(cls)
    hints = fields(cls)
    for name, value in document.items():
        filled[name] = _complete_value(hints.get(name), value)
    return filled


def _complete_value(hint: Any, value: Any) -> Any:
    if hint is None or not isinstance(value, dict | list):
        return value
    for member in members(hint):
        if isinstance(value, dict) and "object" not in value and is_object(member):
            return complete(member, value)
        if isinstance(value, list) and get_origin(member) is list:
            return [_complete_value(get_args(member)[0], item) for item in value]
        if isinstance(value, dict) and get_origin(member) is UntypedStripeObject:
            inner = get_args(member)[0]
            return {key: _complete_value(inner, item) for key, item in value.items()}
    return value


def can_expand(returns: Any, path: list[str]) -> bool:
    """Whether `expand=path` is possible on an answer of type `returns`."""
    current = [returns]
    expandable = False
    for segment in path:
        following: list[Any] = []
        expandable = False
        for hint in _reachable(current):
            origin = get_origin(hint)
            if hint is Any:
                return True
            if origin in (ListObject, SearchResultObject):
                if segment == "data":
                    following.append(list[get_args(hint)[0]])  # type: ignore[misc]
            elif origin is UntypedStripeObject:
                following.append(get_args(hint)[0])
                expandable = True
            elif is_object(hint) and segment in fields(hint):
                # Arguments of generics stay forward references until here.
                following.append(_resolved(fields(hint)[segment], hint.__module__))
        if not following:
            return False
        current = following
    return path == ["data"] or expandable or any(map(_expands, current))


def _resolved(hint: Any, module_name: str) -> Any:
    """Return a hint whose forward references are resolved at every depth."""
    hint = resolve(hint, module_name)
    arguments = get_args(hint)
    if not arguments or get_origin(hint) is Literal:
        return hint
    resolved = tuple(_resolved(argument, module_name) for argument in arguments)
    if get_origin(hint) in (Union, types.UnionType):
        return Union[resolved]  # noqa: UP007 - made at run time
    return get_origin(hint)[resolved if len(resolved) > 1 else resolved[0]]


def _reachable(hints: list[Any]) -> list[Any]:
    """Return what stands behind unions and arrays."""
    found: list[Any] = []
    waiting = list(hints)
    while waiting:
        for member in members(waiting.pop()):
            if get_origin(member) is list:
                waiting.append(get_args(member)[0])
            elif member is not type(None):
                found.append(member)
    return found


def _expands(hint: Any) -> bool:
    """Whether a field of this type is sent as an id, or not at all, until it is expanded."""
    return any(
        get_origin(member) in (ListObject, SearchResultObject)
        or is_object(member)
        # Of maps only those of objects, such as a price's `currency_options`, not `metadata`.
        or (get_origin(member) in (list, UntypedStripeObject) and _expands(get_args(member)[0]))
        for member in members(hint)
    )
