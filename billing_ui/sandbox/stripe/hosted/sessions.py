"""Open a portal session once, and know its visitor again by a cookie."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from billing_ui.sandbox.hosted import visits
from billing_ui.sandbox.hosted.formats import formats_for
from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.pages import Endpoint, go, say
from billing_ui.sandbox.hosted.visits import NotOffered
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.hosted.reader import Reader
from billing_ui.sandbox.stripe.shapes import Json

VALID_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Visit(visits.Visit):
    """One request of somebody who is inside a portal session.

    Attributes:
        account: Whose portal it is.
        configuration: What the portal offers.
        flow: The one thing the session was made for, if it was made for one.
        reader: Reads what the visitor may see.
    """

    account: Account
    configuration: Json
    flow: Json | None
    reader: Reader

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

    def subscription(self) -> Json:
        """Return the subscription of the URL.

        Raises:
            NotOffered: it is not theirs or has ended.
        """
        wanted = self.request.path_params["subscription"]
        for subscription in self.reader.subscriptions():
            if subscription["id"] == wanted:
                return subscription
        raise NotOffered

    def call(self, method: str, path: str, params: Json | None = None) -> Json:
        """Run an API operation. Ids must have been checked to be the customer's before."""
        return self.account.call(method, path, params)

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


def opener(account: Account) -> Endpoint:
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
        return visits.enter(request, session["id"], cookie, VALID_SECONDS)

    return open_session


def inside(account: Account, handler: Handler) -> Endpoint:
    """Return the endpoint of a portal page: only for the holder of the session's cookie."""

    def handle(visit: Visit, form: Form) -> Response:
        try:
            return handler(visit, form)
        except StripeError as error:
            return visit.stopped(error.status, "That didn’t work", error.message)

    return visits.inside(partial(_visit, account), handle, partial(_gone, account))


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
    preferred = customer["preferred_locales"] or []
    flow = session["flow"] or None
    return Visit(
        request=request,
        name=session["id"],
        secret=cookie,
        seller=account.name,
        formats=formats_for(request, session["locale"], preferred),
        return_url=session["return_url"] or configuration["default_return_url"] or None,
        leads_to=_completion_url(flow),
        one_page=flow is not None,
        account=account,
        configuration=configuration,
        flow=flow,
        reader=Reader(account, session["customer"]),
    )


def _cookie_of(account: Account, request: Request, session: Json) -> str | None:
    """Return the request's cookie for a session, if it is the right one and still valid."""
    cookie = visits.secret_of(request, session["id"])
    opened = session.get("_opened")
    if opened is None or not secrets.compare_digest(_digest(cookie), session["_cookie"]):
        return None
    return cookie if account.now < opened + VALID_SECONDS else None


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def _completion_url(flow: Json | None) -> str | None:
    after = (flow or {}).get("after_completion") or {}
    redirect = after.get("redirect") or {}
    return redirect.get("return_url")


def _gone(account: Account) -> Response:
    text = (
        "A portal link works once and for one hour. Go back to where you came from "
        "and open the portal again."
    )
    return say(account.name, 410, "This link was used or has expired", text)
