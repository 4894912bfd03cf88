"""Entries of the audit log as sentences: what was done, by whom, and when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from billing_ui.accounts.audit import AuditAction, AuditKind
from billing_ui.billing.changes import load_changes, tell
from billing_ui.i18n import Reader
from billing_ui.models import ActorKind, AuditEntry, Role, SignInMethod, VisitKind
from billing_ui.payments.types import FlowType

KINDS: Final[dict[str, str]] = {
    "": "All types",
    AuditKind.BILLING: "Billing",
    AuditKind.SIGN_INS: "Sign-ins",
    AuditKind.PEOPLE: "Members and roles",
    AuditKind.TOKENS: "Tokens",
}
"""What the log can be narrowed down to, in words; an empty kind is all of them."""

PERIODS: Final[dict[str, str]] = {
    "7": "Last 7 days",
    "30": "Last 30 days",
    "90": "Last 90 days",
    "": "Past year",
}
"""How far back the log can be read, in days and in words; empty is all of it."""

ACTIVITY_ICONS: Final = ("plan", "leave", "lock", "people", "key", "refresh")
"""Every icon that an entry can have."""

_DAY: Final = timedelta(days=1)

_FLOWS: Final = {
    FlowType.PAYMENT_METHOD_UPDATE: "Payment method",
    FlowType.SUBSCRIPTION_CANCEL: "Cancel plan",
    FlowType.SUBSCRIPTION_UPDATE: "Update plan",
    FlowType.SUBSCRIPTION_UPDATE_CONFIRM: "Confirm a change of plan",
    FlowType.CUSTOMER_UPDATE: "Billing details",
}
_METHODS: Final = {
    SignInMethod.PASSWORD: "With e-mail and password",
    SignInMethod.OIDC: "With single sign-on",
    SignInMethod.ENTRY: "By a link from the product",
    SignInMethod.DEMO: "As a demo account",
}
_PLACES: Final = {VisitKind.PORTAL: "Portal visit", VisitKind.CHECKOUT: "Checkout"}


@dataclass(frozen=True)
class ActivityLine:
    """One entry: a sentence without its full stop, what there is to add, who, and when.

    `moment` and `title` say exactly when, `key` tells it from every other line, and `more` holds further sentences.
    """

    key: str = ""
    icon: str = "plan"
    sentence: str = ""
    more: list[str] = field(default_factory=list)
    detail: str = ""
    who: str = ""
    when: str = ""
    moment: str = ""
    title: str = ""


@dataclass(frozen=True)
class _Told:
    icon: str
    sentence: str
    detail: str = ""
    more: tuple[str, ...] = ()


def activity_lines(
    entries: Sequence[AuditEntry], reader: Reader, now: datetime
) -> list[ActivityLine]:
    """Return entries in words."""
    return [_line(entry, reader, now) for entry in entries]


def activity_range(first: int, shown: int, total: int, most: int, reader: Reader) -> str:
    """Return which of all entries are shown: "1–25 of 132", or "7 entries" where that is all.

    Args:
        first: the number of the first one shown, from 1.
        shown: how many are shown.
        total: how many there are, `most` when there may be more.
    """
    if shown == 0:
        return ""
    if first == 1 and shown == total:
        return reader.plural(total, "entry", "entries")
    of = reader.number(total) if total < most else f"more than {reader.number(most - 1)}"
    return f"{reader.number(first)}–{reader.number(first + shown - 1)} of {of}"


def activity_when(moment: datetime, reader: Reader, now: datetime) -> str:
    """Return when something was: the time today, "Yesterday, 4:40 PM", else the date and the time."""
    day, today = (each.astimezone(reader.zone).date() for each in (moment, now))
    if day == today:
        return reader.time(moment)
    if today - day == _DAY:
        return f"Yesterday, {reader.time(moment)}"
    return reader.short_date_and_time(moment)


def _line(entry: AuditEntry, reader: Reader, now: datetime) -> ActivityLine:
    told = _told(entry, reader)
    parts = (told.detail, f"From {entry.address}" if entry.address else "")
    return ActivityLine(
        key=str(entry.id),
        icon=told.icon,
        sentence=told.sentence,
        more=list(told.more),
        detail=" · ".join(part for part in parts if part),
        who=_who(entry),
        when=activity_when(entry.at, reader, now),
        moment=entry.at.isoformat(timespec="seconds"),
        title=reader.date_and_time(entry.at),
    )


def _told(entry: AuditEntry, reader: Reader) -> _Told:
    try:
        return _TELL[AuditAction(entry.action)](entry, reader)
    except ValueError:
        # Within a year there are other versions of this program, and what they wrote stays as it is.
        return _Told("plan", entry.action.replace("_", " ").capitalize(), entry.target)


def _who(entry: AuditEntry) -> str:
    match entry.actor_kind:
        case ActorKind.TOKEN:
            return f"API token “{entry.actor_label}”"
        case ActorKind.OPERATOR:
            return "Operator"
        case _:
            return entry.actor_label


_Tell = Callable[[AuditEntry, Reader], _Told]


def _plainly(icon: str, sentence: str) -> _Tell:
    """Tell it in words of which `{target}` is what it was done to."""
    return lambda entry, _: _Told(icon, sentence.format(target=entry.target))


def _as_role(icon: str, sentence: str) -> _Tell:
    """Tell it as `_plainly` does, and as what."""

    def told(entry: AuditEntry, _: Reader) -> _Told:
        role = _role(entry.details.get("role"))
        target = entry.target or "Somebody"
        return _Told(icon, sentence.format(target=target), f"As {role}" if role else "")

    return told


def _identity_linked(entry: AuditEntry, _: Reader) -> _Told:
    issuer = entry.details.get("issuer")
    return _Told("lock", f"Single sign-on for {entry.target}", f"At {issuer}" if issuer else "")


def _with_method(sentence: str) -> _Tell:
    """Tell a sign-in, and how somebody proved who they are or tried to."""

    def told(entry: AuditEntry, _: Reader) -> _Told:
        method = entry.details.get("method")
        return _Told("lock", sentence, _METHODS[SignInMethod(method)] if method else "")

    return told


def _signed_out(entry: AuditEntry, _: Reader) -> _Told:
    replaced = entry.details.get("replaced")
    return _Told("lock", "Signed out", "By signing in anew" if replaced else "")


def _signed_out_everywhere(entry: AuditEntry, reader: Reader) -> _Told:
    ended = entry.details.get("sessions")
    detail = f"{reader.plural(ended, 'session', 'sessions')} ended" if ended else ""
    return _Told("lock", "Signed out everywhere", detail)


def _role_changed(entry: AuditEntry, _: Reader) -> _Told:
    before, after = _role(entry.details.get("from")), _role(entry.details.get("to"))
    return _Told("people", f"{entry.target} became {after}", f"Was {before}" if before else "")


def _token_created(entry: AuditEntry, _: Reader) -> _Told:
    scopes: list[str] = entry.details.get("scopes", [])
    noun = "Scope" if len(scopes) == 1 else "Scopes"
    detail = f"{noun} {', '.join(scopes)}" if scopes else ""
    return _Told("key", f"API token “{entry.target}” created", detail)


def _portal_visit(entry: AuditEntry, _: Reader) -> _Told:
    flow = entry.details.get("flow")
    return _Told("leave", "Billing portal opened", _FLOWS[FlowType(flow)] if flow else "")


def _checkout(entry: AuditEntry, _: Reader) -> _Told:
    return _Told("leave", "Checkout opened", entry.target)


def _visit_settled(entry: AuditEntry, reader: Reader) -> _Told:
    place = _PLACES[VisitKind(entry.details.get("kind", VisitKind.PORTAL))]
    changes = load_changes(entry.details.get("changes", []))
    if not changes:
        return _Told("plan", "Nothing changed", place)
    first, *others = (tell(change, reader).sentence.removesuffix(".") for change in changes)
    return _Told("plan", first, place, tuple(others))


def _replayed(entry: AuditEntry, _: Reader) -> _Told:
    return _Told("refresh", f"Event {entry.target} replayed", str(entry.details.get("type", "")))


def _role(name: Any) -> str:
    return Role(name).replace("_", " ") if name else ""


_TELL: Final[dict[AuditAction, _Tell]] = {
    AuditAction.SIGN_IN: _with_method("Signed in"),
    AuditAction.SIGN_IN_FAILED: _with_method("Sign-in failed"),
    AuditAction.SIGN_OUT: _signed_out,
    AuditAction.SIGNED_OUT_EVERYWHERE: _signed_out_everywhere,
    AuditAction.IDENTITY_LINKED: _identity_linked,
    AuditAction.PASSWORD_CHANGED: _plainly("lock", "New password for {target}"),
    AuditAction.PASSWORD_RESET_LINK_MADE: _plainly("lock", "Password link for {target} made"),
    AuditAction.ROLE_CHANGED: _role_changed,
    AuditAction.MEMBER_REMOVED: _as_role("people", "{target} removed"),
    AuditAction.MEMBER_LEFT: _as_role("people", "{target} left"),
    AuditAction.MEMBER_JOINED: _as_role("people", "{target} joined"),
    AuditAction.INVITATION_MADE: _as_role("people", "{target} invited"),
    AuditAction.INVITATION_REVOKED: _as_role("people", "Invitation of {target} withdrawn"),
    AuditAction.TOKEN_CREATED: _token_created,
    AuditAction.TOKEN_REVOKED: _plainly("key", "API token “{target}” revoked"),
    AuditAction.PORTAL_VISIT: _portal_visit,
    AuditAction.VISIT_SETTLED: _visit_settled,
    AuditAction.CHECKOUT: _checkout,
    AuditAction.EVENTS_REPLAYED: _replayed,
    AuditAction.TEAM_PROVISIONED: _plainly("people", "Team provisioned by the product"),
    AuditAction.ENTRY_LINK_MADE: _plainly("lock", "Sign-in link for {target} made"),
    AuditAction.ENTRY_LINK_USED: _plainly("lock", "Sign-in link for {target} used"),
}
