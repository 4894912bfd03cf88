"""The icons: each name says what it means on these pages, not what it looks like."""

from typing import Final

import reflex as rx

_SHAPES: Final = {
    "active": "circle-check",
    "activity": "activity",
    "calendar": "calendar",
    "canceling": "calendar-x",
    "card": "credit-card",
    "check": "check",
    "choose": "chevrons-up-down",
    "copy": "copy",
    "clock": "clock",
    "close": "x",
    "dash": "minus",
    "details": "info",
    "download": "download",
    "ended": "circle-minus",
    "eye": "eye",
    "failed": "circle-x",
    "invoice": "receipt-text",
    "key": "key-round",
    "leave": "arrow-up-right",
    "less": "minus",
    "lock": "lock",
    "more": "plus",
    "offline": "cloud-off",
    "open": "chevron-down",
    "paused": "circle-pause",
    "people": "users",
    "person": "user",
    "plan": "layers",
    "refresh": "rotate-cw",
    "search": "search",
    "sandbox": "flask-conical",
    "theme": "moon",
    "warning": "triangle-alert",
}


@rx.memo
def _drawing(shape: rx.Var[str], size: rx.Var[int]) -> rx.Component:
    # All in one place. Each icon that some pages have and others have not would else be a file of its own,
    # and for six small files a page waits longer than for one with all the icons.
    shapes = sorted(set(_SHAPES.values()))
    return rx.match(
        shape,
        *((each, rx.icon(each, size=size, aria_hidden="true")) for each in shapes),
        rx.fragment(),
    )


def icon(name: str, size: int = 16) -> rx.Component:
    """Return a decorative icon, `size` pixels square; screen readers skip it."""
    return _drawing(shape=_SHAPES[name], size=size)


def icon_for(name: rx.Var[str], among: tuple[str, ...], otherwise: str) -> rx.Component:
    """Return the icon that `name` holds, out of `among`; every one of them travels with the page."""
    return rx.match(name, *((each, icon(each)) for each in among), icon(otherwise))
