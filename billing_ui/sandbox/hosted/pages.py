"""Render the hosted pages and send them with the headers that keep them safe."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

Endpoint = Callable[[Request], Awaitable[Response]]

_TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
_STYLE = (_TEMPLATES / "hosted.css").read_bytes()
_STYLE_URL = f"/hosted/style.css?v={hashlib.sha256(_STYLE).hexdigest()[:12]}"
_ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" '
    b'rx="7" fill="#1c2024"/><path d="M7 16.5v-4M12 16.5v-7M17 16.5v-10" fill="none" '
    b'stroke="#fff" stroke-width="2.4" stroke-linecap="round"/></svg>'
)

_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def show(
    template: str, *, status: int = 200, leads_to: Iterable[str | None] = (), **context: Any
) -> HTMLResponse:
    """Return a rendered page.

    Args:
        template: its file name in the templates folder.
        status: the HTTP status.
        leads_to: URLs that a form on the page may end up at by redirect. Chromium applies
            `form-action` to where a submission is redirected, too.
        context: what the template shows.
    """
    page = {"return_url": None, "problems": False, "stylesheet": _STYLE_URL, **context}
    html = _environment.get_template(template).render(page)
    return HTMLResponse(html, status_code=status, headers=headers(leads_to))


def say(
    seller: str, status: int, heading: str, text: str, link: tuple[str, str] | None = None
) -> HTMLResponse:
    """Return a page that only says something; `link` is a URL and what to call it."""
    return show("message.html", status=status, seller=seller, heading=heading, text=text, link=link)


def go(url: str) -> RedirectResponse:
    """Return a redirect that is followed with GET."""
    return RedirectResponse(url, status_code=303, headers=headers([url]))


def headers(leads_to: Iterable[str | None] = ()) -> dict[str, str]:
    """Return the headers of every answer; see `show` for `leads_to`."""
    targets = " ".join(sorted({"'self'", *filter(None, map(_origin, leads_to))}))
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'self'; script-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action {targets}"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _origin(url: str | None) -> str | None:
    """Return the origin of an absolute http(s) URL, if it can stand in a header."""
    found = re.match(r"https?://[A-Za-z0-9.:\[\]-]+(?=[/?#]|$)", url or "")
    return found[0] if found else None


async def style(request: Request) -> Response:
    """Serve the stylesheet. Its URL holds a hash of it, so a browser may keep it for ever."""
    return Response(_STYLE, media_type="text/css", headers=_ASSET_HEADERS)


async def icon(request: Request) -> Response:
    """Serve the icon of the pages' tabs."""
    return Response(_ICON, media_type="image/svg+xml", headers=_ASSET_HEADERS)


_ASSET_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
}
