"""The people of a team and its open invitations, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from billing_ui.accounts.invitations import Invitation
from billing_ui.accounts.members import Member, MemberPage
from billing_ui.accounts.sessions import Identity
from billing_ui.i18n import Reader
from billing_ui.models import Role

ROLE_WORDS: Final[dict[Role, str]] = {
    Role.MEMBER: "Member",
    Role.BILLING_MANAGER: "Billing manager",
    Role.OWNER: "Owner",
}
"""What each role is called, the one that may least first."""


@dataclass(frozen=True)
class MemberView:
    """One row of the table.

    Attributes:
        local, domain: the two parts of the address, the second with the @: a narrow screen breaks between them.
        me: it is whoever looks.
        role: the role's value, and `role_word` what it is called.
        joined_long: the date in full.
        changeable: their role can be changed, and they can be removed.
        resettable: a link to a new password can be made for them.
        note: why nothing can be changed.
    """

    user_id: str = ""
    email: str = ""
    local: str = ""
    domain: str = ""
    initial: str = ""
    me: bool = False
    role: str = ""
    role_word: str = ""
    joined: str = ""
    joined_long: str = ""
    changeable: bool = False
    resettable: bool = False
    note: str = ""


@dataclass(frozen=True)
class InvitationView:
    """One open invitation: whom it is for, and what else there is to say of it."""

    id: str = ""
    who: str = ""
    about: str = ""


def member_views(
    page: MemberPage, identity: Identity, reader: Reader, *, manages: bool
) -> list[MemberView]:
    """Return the rows of a page of people, as `identity` sees them."""
    return [_member_view(member, identity, reader, manages=manages) for member in page.members]


def member_range(page: MemberPage, reader: Reader) -> str:
    """Return which people are shown: "1–20 of 24", and nothing when that is all of them."""
    last = page.first + len(page.members) - 1
    if page.first == 1 and last == page.total:
        return ""
    first, until, total = (reader.number(n) for n in (page.first, last, page.total))
    return f"{first}–{until} of {total}" if page.first != last else f"{until} of {total}"


def invitation_views(
    invitations: Sequence[Invitation], reader: Reader, now: datetime
) -> list[InvitationView]:
    """Return the open invitations in words."""
    return [
        InvitationView(
            id=str(each.id),
            who=each.email or "Whoever has the link",
            about=" · ".join(
                (
                    ROLE_WORDS[each.role],
                    f"made {reader.ago(max(now - each.made_at, timedelta()))}",
                    f"expires on {reader.date(each.expires_at)}",
                )
            ),
        )
        for each in invitations
    ]


def _member_view(
    member: Member, identity: Identity, reader: Reader, *, manages: bool
) -> MemberView:
    me = member.user_id == identity.user_id
    local, at, domain = member.email.rpartition("@")
    return MemberView(
        user_id=str(member.user_id),
        email=member.email,
        local=local,
        domain=at + domain,
        initial=(member.name or member.email)[:1].upper(),
        me=me,
        role=member.role.value,
        role_word=ROLE_WORDS[member.role],
        joined=reader.short_date(member.joined_at),
        joined_long=reader.date(member.joined_at),
        changeable=manages and not member.last_owner,
        # My own I change on my own page, where I am asked for the present one.
        resettable=manages and member.resettable and not me,
        note="Last owner" if member.last_owner and (manages or me) else "",
    )
