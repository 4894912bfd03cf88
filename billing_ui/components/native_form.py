"""Forms the browser itself posts: only a document's own request can bring a cookie home."""

from typing import Any

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML

from billing_ui.states.addresses import backend_url


class _NativeForm(BaseHTML):
    """A form without Reflex's submit handler, which keeps the browser from posting anything."""

    tag = "form"
    action: rx.Var[str]
    method: rx.Var[str]


def posts_to(path: str, *children: Any, **props: Any) -> rx.Component:
    """Return a form that posts its fields to a backend route and shows the document it answers with."""
    return _NativeForm.create(*children, action=backend_url(path), method="post", **props)
