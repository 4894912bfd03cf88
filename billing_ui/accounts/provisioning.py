"""Teams and people as the product that stands beside this installation tells of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import Actor, AuditAction, record
from billing_ui.accounts.errors import AccountError, InvalidEmail
from billing_ui.accounts.members import withdraw_links_made_by
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.users import normalise_email
from billing_ui.database import Database
from billing_ui.models import AuthSession, Membership, Role, SignInMethod, Team, User
from billing_ui.payments.types import NotAllowed

_TRIES: Final = 3
ADDRESS_TAKEN: Final = (
    "somebody else here has this address, and an address alone does not show who somebody is"
)


class CannotProvision(AccountError):
    """Something that was told cannot be so; the sentence begins with where it stands, such as `members.0.email`."""

    def __init__(self, where: str, why: str) -> None:
        """Say what is wrong, and where."""
        super().__init__(f"{where}: {why}")


@dataclass(frozen=True)
class ToldMember:
    """Somebody in a team, as the product tells of them.

    Attributes:
        role: what they are in the team.
        external_id: what the product calls them, for the product's own people.
        email: their address. It is needed for somebody new, and alone names somebody who has joined here.
        name: their name; None leaves it as it is.
    """

    role: Role
    external_id: str | None = None
    email: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class ListedMember:
    """Somebody in a team as it stands."""

    user: User
    role: Role


@dataclass(frozen=True)
class ProvisionedTeam:
    """A team as it stands; `changed` tells whether anything was another before."""

    team: Team
    members: tuple[ListedMember, ...]
    changed: bool


def require_whole_token(identity: Identity, *, operator: bool = False) -> None:
    """Let only an API token through that has every scope.

    Whoever tells of people, or lets them in, can do all that those may: a token for less must not grow into more.

    Args:
        operator: let only the operator's through.

    Raises:
        NotAllowed: it is a person, a token for less, or a team's where only the operator's will do.
    """
    if identity.token_id is None or identity.scopes != frozenset(Scope):
        raise NotAllowed("Only an API token with every scope can do this.")
    if operator and not identity.operator:
        raise NotAllowed("Only the operator's API token can do this.")


async def provision_team(
    database: Database,
    actor: Actor,
    external_id: str,
    name: str,
    members: Sequence[ToldMember] | None = None,
) -> ProvisionedTeam:
    """Let a team be as the product says, in one transaction; saying it again changes nothing.

    `members` is the whole list of the product's people: one of them who is missing in it leaves the team. Whoever
    has joined here, and has no external id, stays until somebody removes them here.

    People are matched by external id. An e-mail alone never makes somebody here the product's: whoever registers
    there with another's address would be handed their account. So an address that somebody without this external
    id has is refused; given without an external id, it names that person, who stays their own.

    Args:
        actor: who says so, for the audit log.
        external_id: what the product calls the team.
        members: None leaves them as they are.

    Raises:
        CannotProvision: somebody cannot be whom they are said to be, or a team that has an owner would lose the
            last one. Nothing is changed then.
    """
    told = tuple(members) if members is not None else None
    for remaining in reversed(range(_TRIES)):
        try:
            async with database.write() as session:
                return await _Provisioning(session, actor).run(external_id, name, told)
        except IntegrityError:
            # Another call has made the same team or person meanwhile: they are found now.
            if not remaining:
                raise
    raise AssertionError("unreachable")


@dataclass
class _Provisioning:
    """One call, within its transaction; `joined` and so on are the e-mails of whom it concerns."""

    session: AsyncSession
    actor: Actor
    changed: bool = False
    joined: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    async def run(
        self, external_id: str, name: str, told: tuple[ToldMember, ...] | None
    ) -> ProvisionedTeam:
        team, created = await self._team(external_id, name)
        before = await _members(self.session, team.id)
        if told is not None:
            await self._apply(team.id, before, told)
        after = await _members(self.session, team.id)
        if _has_owner(before) and not _has_owner(after):
            raise CannotProvision("members", "the team would have no owner. Name one.")
        if self.changed:
            await record(
                self.session,
                AuditAction.TEAM_PROVISIONED,
                team_id=team.id,
                actor=self.actor,
                target=external_id,
                details={"created": created, "joined": len(self.joined), "left": len(self.left)},
            )
        return ProvisionedTeam(team, tuple(after.values()), self.changed)

    async def _team(self, external_id: str, name: str) -> tuple[Team, bool]:
        # Locked, so that whatever else changes who is in it comes before or after.
        query = select(Team).where(Team.external_id == external_id).with_for_update(key_share=True)
        team = (await self.session.exec(query)).one_or_none()
        created = team is None
        if team is None:
            team = Team(name=name, external_id=external_id)
        if created or team.name != name:
            team.name, self.changed = name, True
            self.session.add(team)
            await self.session.flush()
        return team, created

    async def _apply(
        self, team_id: UUID, before: Mapping[UUID, ListedMember], told: Sequence[ToldMember]
    ) -> None:
        people = await _known_people(self.session, told)
        listed: set[UUID] = set()
        for number, member in enumerate(told):
            where = f"members.{number}"
            user = await self._person(where, member, people)
            if user.id in listed:
                raise CannotProvision(where, "is somebody who stands in the list already")
            listed.add(user.id)
            await self._place(team_id, user, member.role, before.get(user.id))
        for gone in before.values():
            if gone.user.external_id is not None and gone.user.id not in listed:
                await self._remove(team_id, gone)
        await self.session.flush()

    async def _person(self, where: str, told: ToldMember, people: "_People") -> User:
        email = told_address(f"{where}.email", told.email) if told.email is not None else None
        if told.external_id is None:
            if email is None:
                raise CannotProvision(f"{where}.externalId", "is required, or an email")
            user = people.by_email.get(email)
            if user is None:
                raise CannotProvision(
                    f"{where}.email", "nobody here has this address. Give an externalId as well."
                )
            return user
        user = people.by_external_id.get(told.external_id)
        holder = people.by_email.get(email) if email is not None else None
        if holder is not None and holder is not user:
            raise CannotProvision(f"{where}.email", ADDRESS_TAKEN)
        if user is None:
            if email is None:
                raise CannotProvision(f"{where}.email", "is required for somebody who is new here")
            user = await add_person(self.session, told.external_id, email, told.name or "")
            people.add(user)
            self.changed = True
            return user
        self._renew(user, email, told.name, people)
        return user

    def _renew(self, user: User, email: str | None, name: str | None, people: "_People") -> None:
        if email is not None and user.email != email:
            people.by_email.pop(user.email, None)
            user.email, self.changed = email, True
            people.by_email[email] = user
        if name is not None and user.name != name:
            user.name, self.changed = name, True
        self.session.add(user)

    async def _place(self, team_id: UUID, user: User, role: Role, now: ListedMember | None) -> None:
        if now is not None and now.role is role:
            return
        self.changed = True
        if now is None:
            self.session.add(Membership(team_id=team_id, user_id=user.id, role=role))
            self.joined.append(user.email)
            await self._note(AuditAction.MEMBER_JOINED, team_id, user, {"role": role.value})
            return
        if now.role is Role.OWNER:
            await withdraw_links_made_by(self.session, team_id, user.id)
        membership = await self.session.get_one(Membership, (team_id, user.id))
        membership.role = role
        self.session.add(membership)
        change = {"from": now.role.value, "to": role.value}
        await self._note(AuditAction.ROLE_CHANGED, team_id, user, change)

    async def _remove(self, team_id: UUID, member: ListedMember) -> None:
        self.changed = True
        user = member.user
        await withdraw_links_made_by(self.session, team_id, user.id)
        await self.session.exec(
            delete(Membership).where(
                col(Membership.team_id) == team_id, col(Membership.user_id) == user.id
            )
        )
        # A session that the product began is of no use without the team it is for.
        await self.session.exec(
            delete(AuthSession).where(
                col(AuthSession.user_id) == user.id,
                col(AuthSession.team_id) == team_id,
                col(AuthSession.method) == SignInMethod.ENTRY,
            )
        )
        self.left.append(user.email)
        await self._note(AuditAction.MEMBER_REMOVED, team_id, user, {"role": member.role.value})

    async def _note(
        self, action: AuditAction, team_id: UUID, user: User, details: Mapping[str, str]
    ) -> None:
        await record(
            self.session,
            action,
            team_id=team_id,
            actor=self.actor,
            target=user.email,
            details=details,
        )


async def add_person(session: AsyncSession, external_id: str, email: str, name: str) -> User:
    """Store somebody new of the product's within a transaction, without a password; `email` is normalised."""
    user = User(email=email, name=name.strip(), external_id=external_id)
    session.add(user)
    await session.flush()
    return user


@dataclass(frozen=True)
class _People:
    """Those of a list who are known already."""

    by_external_id: dict[str, User]
    by_email: dict[str, User]

    def add(self, user: User) -> None:
        """Know somebody new, too."""
        assert user.external_id is not None  # so are they made
        self.by_external_id[user.external_id] = user
        self.by_email[user.email] = user


async def _known_people(session: AsyncSession, told: Collection[ToldMember]) -> _People:
    ids = {member.external_id for member in told if member.external_id is not None}
    emails = {member.email.strip().lower() for member in told if member.email is not None}
    query = select(User).where(col(User.external_id).in_(ids) | col(User.email).in_(emails))
    users = (await session.exec(query)).all()
    return _People(
        {user.external_id: user for user in users if user.external_id is not None},
        {user.email: user for user in users},
    )


async def _members(session: AsyncSession, team_id: UUID) -> dict[UUID, ListedMember]:
    query = (
        select(User, Membership.role)
        .join(Membership, col(Membership.user_id) == User.id)
        .where(Membership.team_id == team_id)
        .order_by(col(Membership.created_at), col(User.email))
    )
    rows = (await session.exec(query)).all()
    return {user.id: ListedMember(user, Role(role)) for user, role in rows}


def _has_owner(members: Mapping[UUID, ListedMember]) -> bool:
    return any(member.role is Role.OWNER for member in members.values())


def told_address(where: str, email: str) -> str:
    """Return an address as it is stored.

    Raises:
        CannotProvision: it cannot be one.
    """
    try:
        return normalise_email(email)
    except InvalidEmail:
        raise CannotProvision(where, "is not an e-mail address") from None
