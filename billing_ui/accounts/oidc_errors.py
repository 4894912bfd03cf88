"""Why signing in at an OpenID provider does not end with a session, each with what the sign-in page says of it."""

from typing import ClassVar, Final

from billing_ui.accounts.errors import AccountError


class UnknownProvider(AccountError):
    """No provider has this number."""

    default = "There is no such sign-in provider here."


class IdentityTaken(AccountError):
    """Whoever this is at the provider signs in as another user already."""

    default = "Another user signs in with this issuer and subject already."


class ProviderSignInFailed(AccountError):
    """Nobody was signed in. `key` names the reason in an address, `sentence` says it; `{provider}` is its label."""

    key: ClassVar[str]
    sentence: ClassVar[str]

    def __init__(self) -> None:
        """Say what everybody may know; what an operator needs besides stands in the log."""
        super().__init__(self.sentence)


class NotBegunHere(ProviderSignInFailed):
    """This browser has not begun this sign-in, or has finished it before."""

    key = "sso-state"
    sentence = "This sign-in was not begun in this browser, or is finished already. Start again."


class TookTooLong(ProviderSignInFailed):
    """Too much time went by at the provider."""

    key = "sso-expired"
    sentence = "Signing in took too long. Start again."


class RefusedThere(ProviderSignInFailed):
    """The provider, or the person at the provider, said no."""

    key = "sso-refused"
    sentence = "{provider} did not let you in, or you stopped there. Nobody was signed in."


class Unreachable(ProviderSignInFailed):
    """The provider does not answer."""

    key = "sso-unreachable"
    sentence = "{provider} can't be reached right now. Try again in a minute."


class NotSetUp(ProviderSignInFailed):
    """The provider does not know this site the way it is configured here."""

    key = "sso-setup"
    sentence = "{provider} isn't set up correctly for this site. Tell whoever runs it."


class Untrusted(ProviderSignInFailed):
    """What the provider answered did not stand up to a check."""

    key = "sso-untrusted"
    sentence = (
        "{provider} answered in a way that can't be trusted, so nobody was signed in. Start again, and tell "
        "whoever runs this site when it stays so."
    )


class ClocksDiffer(ProviderSignInFailed):
    """The provider's answer is from the past or from the future."""

    key = "sso-clock"
    sentence = "{provider} and this site disagree about the time. Tell whoever runs this site."


class NoEmail(ProviderSignInFailed):
    """The provider gives no usable e-mail address of somebody who comes for the first time."""

    key = "sso-no-email"
    sentence = "{provider} does not tell us your e-mail address, which is needed here. Ask whoever runs this site."


class UnverifiedEmail(ProviderSignInFailed):
    """Somebody comes for the first time, with an e-mail address that the provider does not vouch for."""

    key = "sso-unverified-email"
    sentence = (
        "Your e-mail address isn't verified by {provider}. Verify it there, then sign in again."
    )


class EmailOfAnother(ProviderSignInFailed):
    """Somebody comes for the first time, with the e-mail address of a user who is known here in another way."""

    key = "sso-email-taken"
    sentence = (
        "Your e-mail address belongs to an account that {provider} isn't connected to. Sign in as you did "
        "before, or ask whoever runs this site to connect the two."
    )


_REASONS: Final = (
    *(NotBegunHere, TookTooLong, RefusedThere, Unreachable, NotSetUp, Untrusted, ClocksDiffer),
    *(NoEmail, UnverifiedEmail, EmailOfAnother),
)
_SENTENCES: Final = {reason.key: reason.sentence for reason in _REASONS}


def sentence_for(key: str, provider: str) -> str:
    """Return what is said for the reason `key`, with the provider's label in it; nothing for an unknown one."""
    sentence = _SENTENCES.get(key, "").format(provider=provider)
    # A label can be an ordinary word, and many sentences begin with it.
    return sentence[:1].upper() + sentence[1:]
