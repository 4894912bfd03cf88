"""Open a portal session once, and know its visitor again by a cookie."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from billing_ui.sandbox.hosted.formats import Formats, choose_formats
from billing_ui.sandbox.hosted.forms import Form, FormRefused, form_token, read_form
from billing_ui.sandbox.hosted.pages import go, show
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.hosted.reader import Reader
from billing_ui.sandbox.stripe.shapes import Json

VALID_SECONDS = 3600


class NotOffered(Exception):
    """The configuration does not allow it, or it is not this customer's."""


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is inside a portal session."""

    account: Account
    request: Request
    session: Json
    configuration: Json
    reader: Reader
    formats: Formats
    secret: str

    def url(self, path: str = "", **query: str) -> str:
        """Return the URL of a page of this portal."""
        return f"/p/{self.session['id']}{path}" + (f"?{urlencode(query)}" if query else "")

    @property
    def return_url(self) -> str | None:
        """Where "Return to …" leads."""
        url = self.session["return_url"] or self.configuration["default_return_url"]
        return str(url) if url else None

    @property
    def flow(self) -> Json | None:
        """The one thing the session was made for, if it was made for one."""
        return self.session["flow"] or None

    @property
    def back(self) -> str:
        """Where "Go back" leads: out again for who came by a deep link, else to the start."""
        return (self.flow and self.return_url) or self.url()

    def feature(self, name: str) -> Json:
        """Return a feature's configuration.

        Raises:
            NotOffered: it is not enabled.
        """
        feature: Json = self.configuration["features"][name]
        if not feature["enabled"]:
            raise NotOffered
        return feature

    def enabled(self, name: str) -> bool:
        """Tell whether a feature is enabled."""
        return bool(self.configuration["features"][name]["enabled"])

    def subscription(self, subscription_id: str) -> Json:
        """Return one of the customer's live subscriptions.

        Raises:
            NotOffered: it is not theirs or has ended.
        """
        for subscription in self.reader.subscriptions():
            if subscription["id"] == subscription_id:
                return subscription
        raise NotOffered

    def call(self, method: str, path: str, params: Json | None = None) -> Json:
        """Run an API operation. Ids must have been checked to be the customer's before."""
        return self.account.call(method, path, params)

    def show(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page of the portal."""
        form = context.get("form")
        return show(
            template,
            status=status,
            leads_to=[_completion_url(self.flow)],
            seller=self.account.name,
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

    def completed(self, done: str, notice: str) -> Response:
        """Return where to go after an action.

        Args:
            done: the flow type that this action completes.
            notice: what the portal's start page then says (a key of its table).
        """
        flow = self.flow
        if flow and flow["type"] == done:
            after = flow["after_completion"]
            if after["type"] == "redirect":
                return go(after["redirect"]["return_url"])
            if after["type"] == "hosted_confirmation":
                return go(self.url("/done"))
        return go(self.url(notice=notice))


Handler = Callable[[Visit, Form], Response]


def opener(account: Account) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a session's URL: the first GET opens it, and only the first."""

    async def open_session(request: Request) -> Response:
        session = account.by_secret("billing_portal.session", request.path_params["secret"])
        if session is None:
            return _gone(account)
        if _cookie_of(account, request, session) is not None:
            return go(f"/p/{session['id']}/start")
        # What only looks (a mail scanner's or a chat's preview asks by HEAD) must not use it up.
        if request.method == "HEAD":
            return Response()
        if "_opened" in session or account.now >= session["created"] + VALID_SECONDS:
            return _gone(account)
        cookie = secrets.token_urlsafe(32)
        with account.store.transaction():
            account.store.put({**session, "_opened": account.now, "_cookie": _digest(cookie)})
        answer = go(f"/p/{session['id']}/start")
        answer.set_cookie(
            _cookie_name(session["id"]),
            cookie,
            max_age=VALID_SECONDS,
            path="/p",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    return open_session


def inside(account: Account, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a portal page: only for the holder of the session's cookie."""

    async def endpoint(request: Request) -> Response:
        visit = _visit(account, request)
        if visit is None:
            return _gone(account)
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
        except StripeError as error:
            return visit.stopped(error.status, "That didn’t work", error.message)

    return endpoint


def _visit(account: Account, request: Request) -> Visit | None:
    """Return the visit of who holds the session's cookie; None for everybody else."""
    session = account.store.get(request.path_params["session"])
    if session is None or session["object"] != "billing_portal.session":
        return None
    cookie = _cookie_of(account, request, session)
    customer = account.store.get(session["customer"])
    configuration = account.store.get(session["configuration"])
    if cookie is None or customer is None or configuration is None or customer.get("deleted"):
        return None
    formats = choose_formats(
        session["locale"],
        customer["preferred_locales"] or [],
        request.headers.get("accept-language", ""),
    )
    reader = Reader(account, session["customer"])
    return Visit(account, request, session, configuration, reader, formats, cookie)


def _cookie_of(account: Account, request: Request, session: Json) -> str | None:
    """Return the request's cookie for a session, if it is the right one and still valid."""
    cookie = request.cookies.get(_cookie_name(session["id"]), "")
    opened = session.get("_opened")
    if opened is None or not secrets.compare_digest(_digest(cookie), session["_cookie"]):
        return None
    return cookie if account.now < opened + VALID_SECONDS else None


def _cookie_name(session_id: str) -> str:
    # One for each session: two tabs may be inside the portals of two customers.
    return f"portal_{quote(session_id, safe='')}"


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def _completion_url(flow: Json | None) -> str | None:
    after = (flow or {}).get("after_completion") or {}
    redirect = after.get("redirect") or {}
    return redirect.get("return_url")


def _gone(account: Account) -> Response:
    return show(
        "message.html",
        status=410,
        seller=account.name,
        heading="This link was used or has expired",
        text="A portal link works once and for one hour. Go back to where you came from "
        "and open the portal again.",
        link=None,
    )
