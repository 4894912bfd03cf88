"""Single sign-on: to an OpenID provider and back with a session, and out again there as well."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import structlog
from cryptography.fernet import InvalidToken
from sqlalchemy.exc import IntegrityError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from billing_ui.accounts.audit import OPERATOR, UNKNOWN, Actor, AuditAction, record_in_teams_of
from billing_ui.accounts.errors import InvalidEmail, UnknownUser
from billing_ui.accounts.oidc_attempts import Attempt, begin_attempt
from billing_ui.accounts.oidc_client import Person, Provider
from billing_ui.accounts.oidc_errors import (
    EmailOfAnother,
    IdentityTaken,
    NoEmail,
    NotSetUp,
    RefusedThere,
    UnknownProvider,
    Unreachable,
    Untrusted,
    UnverifiedEmail,
)
from billing_ui.accounts.oidc_keys import Issuer
from billing_ui.accounts.random_tokens import token_hash
from billing_ui.accounts.sealing import box_for
from billing_ui.accounts.sessions import start_session
from billing_ui.accounts.users import find_user, normalise_email
from billing_ui.database import Database
from billing_ui.models import ActorKind, AuthSession, SignInMethod, User, UserIdentity
from billing_ui.settings import Settings

log = structlog.get_logger(__name__)

_PURPOSE: Final = "oidc-id-token"
_LONGEST_NAME: Final = 200
# RFC 6749, section 4.1.2.1, and OpenID Connect Core 1.0, section 3.1.2.6: somebody has said no.
_SAID_NO: Final = frozenset(
    {
        *("access_denied", "login_required", "consent_required", "interaction_required"),
        "account_selection_required",
    }
)
_BUSY: Final = frozenset({"temporarily_unavailable", "server_error"})
# A request's first line is cut off by many servers after 8 KiB.
_LONGEST_HINT: Final = 6000


@dataclass(frozen=True)
class SignedIn:
    """Somebody who came back from a provider and has a session now.

    Attributes:
        token: of the new session.
        email: the address that the provider gives them, and whether it says that it is really theirs. It may be
            another than the one they are known by here.
    """

    token: str = field(repr=False)
    user_id: UUID
    email: str
    email_verified: bool


@dataclass(frozen=True)
class Elsewhere:
    """A session that a person has at a provider, besides ours."""

    issuer: str
    id_token: str | None = field(repr=False)


class SingleSignOn:
    """The configured providers, and what people do with them.

    People are known by issuer and subject. An e-mail address proves nothing: it is neither unique over providers
    nor anybody's for ever, and whoever runs a provider can write any into a token.
    """

    def __init__(
        self, settings: Settings, database: Database, issuers: Mapping[int, Issuer]
    ) -> None:
        """Ask nobody yet; `issuers` has that of every configured provider, by its number."""
        self._settings = settings
        self._database = database
        self._providers = {
            str(number): Provider(number, configured, issuers[number], settings)
            for number, configured in settings.oidc_providers.items()
        }

    def provider(self, number: str) -> Provider:
        """Return the provider of this number, as it stands in addresses.

        Raises:
            UnknownProvider: there is none.
        """
        try:
            return self._providers[number]
        except KeyError:
            raise UnknownProvider from None

    async def begin(self, provider: Provider, destination: str | None) -> tuple[Attempt, str]:
        """Return a new attempt, which the browser has to keep, and the address at the provider where it begins.

        Raises:
            Unreachable, NotSetUp: it cannot begin.
        """
        attempt = begin_attempt(provider.number, destination)
        return attempt, await provider.authorization_url(attempt)

    async def finish(
        self, provider: Provider, attempt: Attempt, answer: Mapping[str, str]
    ) -> SignedIn:
        """Check what the provider sends a browser back with, and begin a session.

        Args:
            attempt: what this browser has begun.
            answer: the query it comes back with.

        Raises:
            ProviderSignInFailed: nobody is signed in; which kind says why.
        """
        await _check_sender(provider, answer)
        _check_for_refusal(provider, answer)
        person = await provider.person(answer.get("code", ""), attempt)
        user_id, token = await self._start_session(provider, person)
        return SignedIn(token, user_id, person.email, person.email_verified)

    async def elsewhere(self, token: str | None) -> Elsewhere | None:
        """Return the session that whoever holds `token` has at a provider, None without one.

        To be asked before our own session ends, which is forgotten with everything about it.
        """
        if not token:
            return None
        query = select(AuthSession.issuer, AuthSession.sealed_id_token).where(
            AuthSession.token_hash == token_hash(token)
        )
        async with self._database.read() as session:
            row = (await session.exec(query)).one_or_none()
        if row is None or row[0] is None:
            return None
        return Elsewhere(row[0], self._opened(row[1]))

    async def sign_out_url(self, elsewhere: Elsewhere) -> str | None:
        """Return the address at which a person signs out at the provider too, None when it offers none.

        It leads back to the sign-in page (OpenID Connect RP-Initiated Logout 1.0).
        """
        for provider in self._providers.values():
            if provider.issuer.issuer == elsewhere.issuer:
                break
        else:
            return None
        try:
            endpoint = (await provider.metadata()).end_session_endpoint
        except Unreachable:
            # They are signed out here, and that is what can be done.
            return None
        if endpoint is None:
            return None
        query = {
            "client_id": provider.configured.client_id,
            "post_logout_redirect_uri": f"{self._settings.base_url}/sign-in",
        }
        if elsewhere.id_token and len(elsewhere.id_token) <= _LONGEST_HINT:
            query["id_token_hint"] = elsewhere.id_token
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def _start_session(self, provider: Provider, person: Person) -> tuple[UUID, str]:
        try:
            try:
                return await self._start_session_once(person)
            except IntegrityError:
                # Somebody came for the first time twice at once: by now they are known.
                return await self._start_session_once(person)
        except EmailOfAnother:
            log.warning(
                "sign_in_email_taken",
                provider=provider.number,
                issuer=person.issuer,
                subject=person.subject,
            )
            await self._note_refusal(person)
            raise

    async def _start_session_once(self, person: Person) -> tuple[UUID, str]:
        async with self._database.write() as session:
            user = await _known(session, person) or await _newcomer(session, person)
            token = await start_session(
                session,
                user,
                SignInMethod.OIDC,
                issuer=person.issuer,
                sealed_id_token=self._sealed(person.id_token),
            )
            return user.id, token

    async def _note_refusal(self, person: Person) -> None:
        """Tell the teams of whoever has the e-mail address that somebody else came with it."""
        async with self._database.write() as session:
            user = await find_user(session, normalise_email(person.email))
            await record_in_teams_of(
                session,
                user.id if user else None,
                AuditAction.SIGN_IN_FAILED,
                actor=Actor(ActorKind.NOBODY, label=user.email if user else UNKNOWN),
                details={"method": SignInMethod.OIDC.value, "issuer": person.issuer},
            )

    def _sealed(self, id_token: str) -> str:
        return box_for(self._settings, _PURPOSE).encrypt(id_token.encode()).decode()

    def _opened(self, sealed: str | None) -> str | None:
        try:
            return box_for(self._settings, _PURPOSE).decrypt(sealed or "").decode()
        except InvalidToken:
            # SECRET_KEY has changed since. It is a hint only.
            return None


async def link_identity(database: Database, email: str, issuer: str, subject: str) -> User:
    """Let whoever is `subject` at `issuer` sign in as the user with this e-mail; an operator has made sure of it.

    Raises:
        UnknownUser: nobody has this e-mail.
        IdentityTaken: they sign in as another user already.
    """
    async with database.write() as session:
        user = await find_user(session, normalise_email(email))
        if user is None:
            raise UnknownUser
        known = (await session.exec(_identity_of(issuer, subject))).one_or_none()
        if known is None:
            session.add(UserIdentity(issuer=issuer, subject=subject, user_id=user.id))
            await record_in_teams_of(
                session,
                user.id,
                AuditAction.IDENTITY_LINKED,
                actor=OPERATOR,
                target=user.email,
                details={"issuer": issuer},
            )
        elif known.user_id != user.id:
            raise IdentityTaken
        return user


async def _check_sender(provider: Provider, answer: Mapping[str, str]) -> None:
    """Make sure that the answer is not another provider's, whom somebody mixes up with this one (RFC 9207).

    Raises:
        Untrusted: it is, or does not say whose it is although this provider always does.
        Unreachable: nobody knows what this provider does.
    """
    metadata = await provider.metadata()
    sender = answer.get("iss")
    if sender is None and not metadata.authorization_response_iss_parameter_supported:
        return
    if sender != metadata.issuer:
        log.warning(
            "oidc_untrusted", provider=provider.number, reason="The answer is of another issuer."
        )
        raise Untrusted


def _check_for_refusal(provider: Provider, answer: Mapping[str, str]) -> None:
    """Raise the failure that the provider tells of instead of a code.

    Raises:
        RefusedThere, Unreachable, NotSetUp: what it says.
    """
    if answer.get("code"):
        return
    # What it says in words stands in the address, where anybody can write it.
    reason = answer.get("error", "")[:100]
    log.warning("oidc_refused", provider=provider.number, reason=reason)
    if reason in _SAID_NO:
        raise RefusedThere
    raise Unreachable if reason in _BUSY else NotSetUp


def _identity_of(issuer: str, subject: str) -> SelectOfScalar[UserIdentity]:
    return select(UserIdentity).where(
        UserIdentity.issuer == issuer, UserIdentity.subject == subject
    )


async def _known(session: AsyncSession, person: Person) -> User | None:
    """Return the user that `person` signs in as."""
    identity = (await session.exec(_identity_of(person.issuer, person.subject))).one_or_none()
    return await session.get_one(User, identity.user_id) if identity else None


async def _newcomer(session: AsyncSession, person: Person) -> User:
    """Create the user that `person` signs in as from now on, in no team.

    Only a verified address is taken: whoever has it here can accept invitations that were made for it.

    Raises:
        NoEmail, UnverifiedEmail, EmailOfAnother: there can be no such user.
    """
    try:
        email = normalise_email(person.email)
    except InvalidEmail:
        raise NoEmail from None
    if not person.email_verified:
        raise UnverifiedEmail
    if await find_user(session, email) is not None:
        raise EmailOfAnother
    user = User(email=email, name=person.name.strip()[:_LONGEST_NAME])
    session.add(user)
    await session.flush()
    session.add(UserIdentity(issuer=person.issuer, subject=person.subject, user_id=user.id))
    await session.flush()
    return user
