"""The table of API operations: method and path are read off the SDK's service that calls them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from billing_ui.sandbox.stripe.shapes import Json, members, resolve

if TYPE_CHECKING:
    from billing_ui.sandbox.stripe.account import Account

Handler = Callable[..., Json]
"""Takes the account, the validated parameters and the ids of the path; returns what is stored."""

View = Callable[["Account", Json, Json], Json]
"""Takes the account, a stored document and the expand tree; returns what is answered."""


@dataclass(frozen=True)
class Operation:
    """One entry of the API.

    Attributes:
        method: `get`, `post` or `delete`.
        path: With placeholders, such as `/v1/customers/{customer}`.
        params_type: The SDK's TypedDict of the parameters, or None where there are none.
        returns: The SDK's class of the answer, or Any.
        handler: What runs it.
    """

    method: str
    path: str
    params_type: Any
    returns: Any
    handler: Handler


_BY_PATH: dict[tuple[str, str], Operation] = {}
_BY_LENGTH: dict[tuple[str, int], list[tuple[list[str], Operation]]] = {}
VIEWS: dict[str, View] = {}
INCLUDABLE: dict[str, set[str]] = {}
"""Object name -> fields (or paths of fields) that are answered only when expanded."""


def operation(service_method: Callable[..., Any]) -> Callable[[Handler], Handler]:
    """Register the handler of the operation an SDK method such as `CustomerService.create` calls."""
    module = service_method.__module__
    verb, path = [
        text
        for text in service_method.__code__.co_consts
        if isinstance(text, str) and (text in ("get", "post", "delete") or text.startswith("/v1/"))
    ]
    annotation = service_method.__annotations__.get("params")
    params_type = None
    if annotation is not None:
        wanted = next(hint for hint in members(annotation) if hint is not type(None))
        params_type = resolve(wanted, module)
    returns = resolve(service_method.__annotations__["return"], module)
    return route(verb, path, params_type, returns)


def route(
    method: str, path: str, params_type: Any, returns: Any = Any
) -> Callable[[Handler], Handler]:
    """Register the handler of an operation the SDK does not know."""

    def register(handler: Handler) -> Handler:
        entry = Operation(method, path, params_type, returns, handler)
        if "{" in path:
            segments = path.split("/")
            _BY_LENGTH.setdefault((method, len(segments)), []).append((segments, entry))
        else:
            _BY_PATH[method, path] = entry
        return handler

    return register


def view(object_name: str) -> Callable[[View], View]:
    """Register how a stored document of this kind is answered."""

    def register(function: View) -> View:
        VIEWS[object_name] = function
        return function

    return register


def find(method: str, path: str) -> tuple[Operation, list[str]] | None:
    """Return the operation at a method and path with the ids of the path, or None."""
    exact = _BY_PATH.get((method, path))
    if exact:
        return exact, []
    given = path.split("/")
    for segments, entry in _BY_LENGTH.get((method, len(given)), ()):
        ids = []
        for expected, actual in zip(segments, given, strict=True):
            if expected[:1] == "{" and actual:
                ids.append(actual)
            elif expected != actual:
                break
        else:
            return entry, ids
    return None
