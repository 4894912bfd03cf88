"""Let a visitor into a portal, know them again by a cookie, and show them the portal's pages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from billing_ui.sandbox.hosted.formats import Formats
from billing_ui.sandbox.hosted.forms import Form, FormRefused, form_token, read_form
from billing_ui.sandbox.hosted.pages import Endpoint, go, show


class NotOffered(Exception):
    """There is no such page in this portal, or it is about somebody else's."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request of somebody who is inside a portal.

    Attributes:
        request: The request.
        name: What the visit is called in the paths of its pages.
        secret: What its cookie holds.
        seller: Whose portal it is.
        formats: How the visitor writes amounts and dates.
        return_url: Where "Return to …" leads; there is no such link when None.
        leads_to: Where a form of the portal may end up by redirect, if not in the portal.
        one_page: Whether it is for one page alone, rather than for the start page.
    """

    request: Request
    name: str
    secret: str
    seller: str
    formats: Formats
    return_url: str | None
    leads_to: str | None
    one_page: bool

    def url(self, path: str = "", **query: str) -> str:
        """Return the URL of a page of this portal."""
        return f"/p/{self.name}{path}" + (f"?{urlencode(query)}" if query else "")

    @property
    def back(self) -> str:
        """Where "Go back" leads: out again for who came by a deep link, else to the start."""
        return (self.one_page and self.return_url) or self.url()

    def show(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page of the portal."""
        form = context.get("form")
        return show(
            template,
            status=status,
            leads_to=[self.leads_to],
            seller=self.seller,
            return_url=self.return_url,
            base=self.url(),
            form_token=form_token(self.secret),
            **{"problems": bool(form is not None and form.problems), "back": self.back, **context},
        )

    def stopped(self, status: int, heading: str, text: str) -> HTMLResponse:
        """Return a page that says why it does not go on here, with the way back to the portal."""
        return self.show(
            "message.html",
            status=status,
            heading=heading,
            text=text,
            link=(self.url(), "Back to the portal"),
        )


V = TypeVar("V", bound=Visit)


def inside(
    find: Callable[[Request], V | None],
    handler: Callable[[V, Form], Response],
    gone: Callable[[], Response],
) -> Endpoint:
    """Return the endpoint of a portal page.

    Args:
        find: Returns the visit of who holds the right cookie; None for everybody else.
        handler: Answers a visit; a form that was posted is its own page's.
        gone: Answers everybody else.
    """

    async def endpoint(request: Request) -> Response:
        visit = find(request)
        if visit is None:
            return gone()
        try:
            form = await read_form(request, visit.secret) if request.method == "POST" else Form()
            return handler(visit, form)
        except FormRefused:
            return visit.stopped(
                403,
                "This form is out of date",
                "Nothing was changed. Go back to the portal and try again.",
            )
        except NotOffered:
            return visit.stopped(
                404,
                "This page isn’t available",
                "It doesn’t exist, or it isn’t part of this portal.",
            )

    return endpoint


def enter(request: Request, name: str, secret: str, seconds: int) -> Response:
    """Go to the first page of a visit, with the cookie that opens its pages for so many seconds."""
    answer = go(f"/p/{name}/start")
    answer.set_cookie(
        _cookie(name),
        secret,
        max_age=seconds,
        path="/p",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


def secret_of(request: Request, name: str) -> str:
    """Return what the browser's cookie of a visit holds; "" when it has none."""
    return request.cookies.get(_cookie(name), "")


def _cookie(name: str) -> str:
    # One for each visit: two tabs may be inside the portals of two customers.
    return f"portal_{quote(name, safe='')}"
