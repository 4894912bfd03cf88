"""Sealed tickets that take a browser to a provider's page without its URL passing through the page's state."""

import json
from typing import Final

from cryptography.fernet import InvalidToken

from billing_ui.accounts.sealing import box_for
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.payments.types import InvalidRequest, NotAllowed

TICKET_LIFETIME_SECONDS: Final = 60
_PURPOSE: Final = "departure"
_EXPIRED: Final = "This link has expired. Open the page anew."


def seal_departure(services: Services, identity: Identity, url: str) -> str:
    """Return a ticket that gives `url` back to the same session, and to nobody else, for a minute.

    A portal URL is a credential. The ticket can pass where the URL may not, such as a websocket frame.

    Raises:
        NotAllowed: who asks has no session, hence no browser to take there.
    """
    if identity.session_id is None:
        raise NotAllowed
    sealed = json.dumps([str(identity.session_id), url]).encode()
    return box_for(services.settings, _PURPOSE).encrypt_at_time(sealed, _seconds()).decode()


def open_departure(services: Services, identity: Identity, ticket: str) -> str:
    """Return the URL in `ticket`.

    Raises:
        InvalidRequest: who asks has no session, or the ticket is damaged, older than a minute or another session's.
    """
    try:
        box = box_for(services.settings, _PURPOSE)
        opened = box.decrypt_at_time(ticket, TICKET_LIFETIME_SECONDS, _seconds())
    except (InvalidToken, ValueError):
        raise InvalidRequest(_EXPIRED) from None
    session_id, url = json.loads(opened)
    if identity.session_id is None or session_id != str(identity.session_id):
        raise InvalidRequest(_EXPIRED)
    return str(url)


def _seconds() -> int:
    return int(utc_now().timestamp())
