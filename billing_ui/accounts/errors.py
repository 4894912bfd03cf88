"""The failures of signing in and of managing people and teams, each with its sentence."""

from typing import ClassVar


class AccountError(Exception):
    """A failure a person can act on; `str(error)` is the sentence to show, free of secrets."""

    default: ClassVar[str] = "That isn't possible."

    def __init__(self, message: str | None = None) -> None:
        """Take a sentence of its own, or the class's default one."""
        super().__init__(message or self.default)


class Unauthenticated(AccountError):
    """Nobody is signed in: no token, or one that is unknown, revoked or expired."""

    default = "Authentication required"


class InvalidBearer(Unauthenticated):
    """A token that was signed by an issuer, and is not accepted; `reason` says why, for whoever programs with it."""

    def __init__(self, reason: str) -> None:
        """Take the reason, a sentence without quotation marks and without anything of the token."""
        super().__init__()
        self.reason = reason


class InvalidCredentials(AccountError):
    """No user has this e-mail and password. Which of the two is wrong is never said."""

    default = "E-mail or password is wrong."


class NoTeam(AccountError):
    """The person is in no team."""

    default = "Team not found"


class InvalidEmail(AccountError):
    """What was given cannot be an e-mail address."""

    default = "That is not an e-mail address."


class UnusablePassword(AccountError):
    """The password is too short or too long to be accepted."""


class EmailTaken(AccountError):
    """Another user has this e-mail address."""

    default = "A user with this e-mail already exists."


class UnknownUser(AccountError):
    """No user has this e-mail address."""

    default = "No user has this e-mail."


class UnknownTeam(AccountError):
    """No team has this name or id."""

    default = "No team has this name or id."


class AmbiguousTeam(AccountError):
    """Several teams have this name."""

    default = "Several teams have this name. Give the team's id instead."


class LinkError(AccountError):
    """A one-time link that is of no use."""


class LinkUnknown(LinkError):
    """Nobody was given this link, or it was altered on its way."""

    default = "This link isn't valid. Check that you have copied all of it, or ask for a new one."


class LinkUsed(LinkError):
    """The link was used before."""

    default = "This link has been used already. Ask for a new one."


class LinkExpired(LinkError):
    """The link's time is over."""

    default = "This link has expired. Ask for a new one."


class LinkRevoked(LinkError):
    """Whoever made the link has withdrawn it."""

    default = "This link was withdrawn. Ask for a new one."


class IssuerUnavailable(AccountError):
    """The OpenID provider does not answer, or not as such a provider does."""

    default = "The sign-in provider cannot be reached."


class UnusableToken(AccountError):
    """An API token that cannot be made like this."""


class UnknownMember(AccountError):
    """Nobody in the team has this id; they may have left a moment ago."""

    default = "They are no longer in the team."


class LastOwner(AccountError):
    """The team would have no owner left."""

    default = "A team needs an owner. Make somebody else an owner first."


class OtherAccess(AccountError):
    """A new password would open more than the team of whoever wants to let somebody choose one."""

    default = (
        "A password link is only for people who sign in with a password and are in no other team."
        " Whoever runs this site can reset it."
    )


class AlreadyMember(AccountError):
    """The person is in the team."""

    default = "You are in this team already."


class InvitedSomebodyElse(AccountError):
    """The invitation is for another person."""

    default = "This invitation is for another e-mail address."


class TooManyInvitations(AccountError):
    """A team has as many open invitations as it may have."""

    default = "Too many invitations are open. Withdraw some first."


class NotTheirAccount(AccountError):
    """Whoever asks is no person who signed in here: a program, or somebody whom the product let in to one team."""

    default = "Sign in here to do this."
