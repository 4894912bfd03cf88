"""Tokens of the company's own OpenID provider, by which its products call the API: whose, and in which team."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, bindparam, case, or_
from sqlmodel import col, select

from billing_ui.accounts.errors import InvalidBearer, NoTeam
from billing_ui.accounts.oidc_keys import Issuer
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.signed_tokens import read_token, verified_claims
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.direct import Direct
from billing_ui.models import Membership, Role, Team, User, UserIdentity

TEAM_CLAIM: Final = "team"
"""Which of the person's teams the token is about: its external id or its id. Without it, the one joined first."""

_NO_ID: Final = UUID(int=0)
"""What is looked for when the claim is no id: no team has it."""


@dataclass(frozen=True)
class TrustedIssuer:
    """An issuer whose tokens are accepted, when they were made for `audience`."""

    issuer: Issuer
    audience: str


class _Found(NamedTuple):
    user_id: UUID
    email: str
    user_name: str
    team_id: UUID | None
    team_name: str | None
    role: str | None


_COLUMNS: Final = (User.id, User.email, User.name, Team.id, Team.name, Membership.role)
_PERSON: Final = (
    UserIdentity.issuer == bindparam("issuer"),
    UserIdentity.subject == bindparam("subject"),
)

_IN_FIRST_TEAM: Final = Direct(
    select(*_COLUMNS)  # type: ignore[call-overload]
    .select_from(UserIdentity)
    .join(User, col(User.id) == UserIdentity.user_id)
    .outerjoin(Membership, col(Membership.user_id) == User.id)
    .outerjoin(Team, col(Team.id) == Membership.team_id)
    .where(*_PERSON)
    .order_by(col(Membership.created_at), col(Membership.team_id))
    .limit(1),
    _Found,
)

_IN_NAMED_TEAM: Final = Direct(
    select(*_COLUMNS)  # type: ignore[call-overload]
    .select_from(UserIdentity)
    .join(User, col(User.id) == UserIdentity.user_id)
    .outerjoin(
        Team,
        or_(
            col(Team.external_id) == bindparam("external_id"),
            col(Team.id) == bindparam("team_id"),
        ),
    )
    .outerjoin(
        Membership, and_(col(Membership.user_id) == User.id, col(Membership.team_id) == Team.id)
    )
    .where(*_PERSON)
    # An external id may look like the id of another team: what the product calls it goes first.
    .order_by(case((col(Team.external_id) == bindparam("external_id"), 0), else_=1))
    .limit(1),
    _Found,
)


class JwtBearers:
    """Tells whose a signed token is, for the issuers that are trusted."""

    def __init__(
        self, trusted: Iterable[TrustedIssuer], *, now: Callable[[], datetime] = utc_now
    ) -> None:
        """Trust these and nobody else; asks none of them yet."""
        self._trusted = {each.issuer.issuer: each for each in trusted}
        self._now = now

    async def identify(self, database: Database, token: str) -> Identity:
        """Return who asks with `token`, in the team it names or else the one they joined first.

        They may do what their role in that team allows, as if they had signed in. Nothing is written: a person
        becomes known here by signing in once, or by an operator who ties them to their user.

        Raises:
            InvalidBearer: the token is not accepted, or is about somebody who is not known here.
            IssuerUnavailable: the issuer's keys are needed, and it does not answer.
            NoTeam: the person is not in the team that the token names.
        """
        unverified = read_token(token)
        trusted = self._trusted.get(unverified.issuer or "")
        if trusted is None:
            raise InvalidBearer("The token is from another issuer.")
        claims = await verified_claims(unverified, trusted.issuer, trusted.audience, now=self._now)
        team, subject = claims.get(TEAM_CLAIM), claims["sub"]
        if not (team is None or isinstance(team, str)):
            raise InvalidBearer("The team in the token is not a text.")
        # What no column can hold is nobody's: databases do not even take it as a question.
        found = await self._find(database, trusted, subject, team) if subject.isprintable() else []
        if not found:
            raise InvalidBearer("The person in the token is not known here.")
        [row] = found
        if team is not None and row.role is None:
            raise NoTeam
        return Identity(
            session_id=None,
            user_id=row.user_id,
            email=row.email,
            user_name=row.user_name,
            team_id=row.team_id,
            team_name=row.team_name or "",
            role=Role(row.role) if row.role else None,
        )

    async def _find(
        self, database: Database, trusted: TrustedIssuer, subject: str, team: str | None
    ) -> list[_Found]:
        person = {"issuer": trusted.issuer.issuer, "subject": subject}
        if team is None:
            return await database.fetch(_IN_FIRST_TEAM, **person)
        name = team if team.isprintable() else ""
        return await database.fetch(
            _IN_NAMED_TEAM, external_id=name, team_id=_as_id(name), **person
        )


def _as_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return _NO_ID
