"""A page that leads on to another site, for after a form: our pages' policy forbids a form to be redirected there."""

from functools import cache
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from billing_ui.api.security_headers import document_policy
from billing_ui.settings import Settings


def leaving_page(settings: Settings, address: str, title: str, onward: str) -> HTMLResponse:
    """Return a page that takes the browser to `address` at once.

    Args:
        address: an absolute URL.
        title: what has happened here.
        onward: the words of the link for a browser that does not go by itself.
    """
    template = _templates().get_template("leaving.html.jinja")
    page = template.render(app_name=settings.app_name, address=address, title=title, onward=onward)
    return HTMLResponse(page, headers={"Content-Security-Policy": document_policy(page)})


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
