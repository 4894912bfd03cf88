"""The way to Polar: its SDK's services with our timeouts and retries, and its failures as our named errors."""

import json
import re
from contextlib import AbstractContextManager
from uuid import UUID

import adaptix
import httpx
import polar.base
import structlog
from polar.base import AsyncClientBase, PolarClientError, PolarError
from polar.v2026_10 import PolarAsync
from polar.v2026_10.errors import HTTPValidationError, ResourceNotFound
from polar.v2026_10.literals import OrderStatus, SubscriptionStatus
from polar.v2026_10.outputs import ValidationError as Complaint
from polar.v2026_10.services.checkouts import CheckoutsAsync
from polar.v2026_10.services.customer_sessions import CustomerSessionsAsync
from polar.v2026_10.services.customers import CustomersAsync
from polar.v2026_10.services.orders import OrdersAsync
from polar.v2026_10.services.organizations import OrganizationsAsync
from polar.v2026_10.services.products import ProductsAsync
from polar.v2026_10.services.subscriptions import SubscriptionsAsync
from polar.v2026_10.services.webhooks import WebhooksAsync
from pydantic import ValidationError

from billing_ui.payments.client import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    RETRIES,
    Connections,
    repeated,
    translating,
)
from billing_ui.payments.types import (
    CustomerDeleted,
    InvalidRequest,
    PaymentError,
    PermissionMissing,
    ProviderRejected,
)
from billing_ui.payments.unavailable import in_trouble, too_busy
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)

PAGE = 100
"""How many objects a page of a list has, the most Polar gives."""

_KEY = re.compile(r"\bpolar_[a-z]+_\w+")


def _word(data: object) -> str:
    if not isinstance(data, str):
        raise adaptix.load_error.TypeLoadError(str, data)
    return data


# A status that Polar adds one day is shown as it is: it must not make all else unreadable. The SDK offers no
# other place to say so.
polar.base._retort = polar.base._retort.extend(
    recipe=[
        adaptix.loader(SubscriptionStatus, _word),
        adaptix.loader(OrderStatus, _word),
    ]
)


class PolarClient(AsyncClientBase):
    """The SDK's services, on connections that belong to the event loop they are used in.

    Every call is one of the SDK's own methods, except where one would be too strict to be of use.
    """

    def __init__(self, access_token: str, api_base: str) -> None:
        """Connect to nothing yet.

        Args:
            access_token: of the organization.
            api_base: address of the API, without `/v1`.
        """
        super().__init__(
            api_base,
            PolarAsync.version,
            access_token,
            httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        )
        self._connections = Connections(Provider.POLAR, "Polar", api_base)
        self.customers = CustomersAsync(self)
        self.customer_sessions = CustomerSessionsAsync(self)
        self.checkouts = CheckoutsAsync(self)
        self.subscriptions = SubscriptionsAsync(self)
        self.orders = OrdersAsync(self)
        self.products = ProductsAsync(self)
        self.webhooks = WebhooksAsync(self)
        self.organizations = OrganizationsAsync(self)

    async def send_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, again after a lost connection or a 5xx, and return its answer.

        Repeating is harmless: what is made is unique by our own id (customers), or of no consequence
        unless somebody opens it (sessions).

        Raises:
            ProviderUnavailable: no whole answer came in time, or Polar is busy or broken.
            KeyRefused, ScopeMissing: the key is refused, or lacks a permission.
            ProviderRejected: what stands at the address is not Polar.
        """

        async def once() -> httpx.Response:
            answer = await self._connections.send(request, within=ANSWER_SECONDS)
            _refuse(answer)
            return answer

        return await repeated(once, RETRIES)

    async def close(self) -> None:
        """Close the connections made in the running event loop."""
        await self._connections.close()


class KeyRefused(ProviderRejected):
    """The access token is none, or no longer one."""

    default = (
        "Polar refused this site's API key. "
        "Whoever runs the site must set POLAR_ACCESS_TOKEN to a valid one."
    )


class ScopeMissing(PermissionMissing):
    """The access token is good, but not for this call."""

    default = (
        "Polar refused this site's API key: it lacks a permission. "
        "Whoever runs the site must give POLAR_ACCESS_TOKEN the scopes that `billing-ui doctor` names."
    )


def _refuse(answer: httpx.Response) -> None:
    """Raise what an answer's status alone says went wrong; the other refusals are the SDK's to read."""
    status = answer.status_code
    if status < 300 or status in (404, 409, 422):
        return
    _note(status)
    if status == 429:
        raise too_busy("Polar", answer.headers)
    if status == 401:
        raise KeyRefused()
    if status == 403:
        raise ScopeMissing()
    if answer.is_server_error:
        raise in_trouble("Polar", answer.headers)
    if answer.is_redirect:
        raise ProviderRejected("Polar's API answered with a redirect. Check POLAR_API_BASE.")


def _note(status: int | None, kind: str = "refused") -> None:
    log.warning("provider_call_failed", provider=Provider.POLAR, kind=kind, status=status)


def translated() -> AbstractContextManager[None]:
    """Raise what the SDK raises inside as our named errors; see `payments.client.translating`."""
    unreadable = (json.JSONDecodeError, UnicodeDecodeError, ValidationError)
    return translating((PolarError, *unreadable), translate)


def translate(error: Exception) -> PaymentError:
    """Return the named error that `error` is to a person, without keys or bodies."""
    if isinstance(error, HTTPValidationError):
        _note(error.status_code, "HTTPValidationError")
        return _refusal(error)
    if isinstance(error, PolarClientError):
        _note(error.status_code, type(error).__name__)
        return ProviderRejected(f"Polar refused the request: {_said(error)}")
    _note(None, type(error).__name__)
    return ProviderRejected(
        "Polar's answer can't be understood. Check POLAR_API_BASE, and that this version is up to date."
    )


def _refusal(error: HTTPValidationError) -> PaymentError:
    if complaint_about(error, "customer_id"):
        return CustomerDeleted()
    if complaint_about(error, "products", "seats", "units", "currency", "min_seats", "max_seats"):
        return InvalidRequest(f"Polar can't open this page: {_said(error)}")
    return ProviderRejected(f"Polar refused the request: {_said(error)}")


def complaint_about(error: PolarError, *fields: str) -> Complaint | None:
    """Return the first complaint of a refusal about one of these fields of the request, None when there is none."""
    if isinstance(error, HTTPValidationError):
        for complaint in error.error.detail or ():
            if not set(fields).isdisjoint(str(part) for part in complaint.loc):
                return complaint
    return None


def is_missing(error: PolarError) -> bool:
    """Return whether `error` says that the thing asked for does not exist."""
    return isinstance(error, ResourceNotFound)


def is_id(value: str) -> bool:
    """Return whether `value` can be an id of Polar's; nothing else may become part of an address."""
    try:
        return str(UUID(value)) == value.lower()
    except ValueError:
        return False


def _said(error: PolarClientError) -> str:
    if isinstance(error, HTTPValidationError):
        said = " ".join(
            f"{'.'.join(str(part) for part in complaint.loc[1:])}: {complaint.msg}"
            for complaint in error.error.detail or ()
        )
    else:
        detail = getattr(error.error, "detail", None)
        said = detail if isinstance(detail, str) else f"status {error.status_code}."
    return _KEY.sub("…", said) or "no reason given."
