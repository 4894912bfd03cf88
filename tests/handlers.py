"""Every event handler of every state, found by looking: a new one is among them by itself."""

import importlib
import pkgutil
from collections.abc import Iterator

import reflex as rx
from reflex.event import EventHandler

from billing_ui import states

for _module in pkgutil.iter_modules(states.__path__):
    importlib.import_module(f"{states.__name__}.{_module.name}")


def all_states(of: type[rx.State] = rx.State) -> Iterator[type[rx.State]]:
    """Walk every state of the application."""
    for state in of.__subclasses__():
        if state.__module__.startswith(f"{states.__name__}."):
            yield state
        yield from all_states(state)


def all_handlers() -> Iterator[tuple[type[rx.State], str, EventHandler]]:
    """Walk every handler, with its state and its name."""
    for state in all_states():
        for name, handler in state.event_handlers.items():
            yield state, name, handler


def argument_names(handler: EventHandler) -> tuple[str, ...]:
    """Return what a handler takes from the browser."""
    code = handler.fn.__code__
    names: tuple[str, ...] = code.co_varnames[1 : code.co_argcount]
    return names
