"""What a failure is called on a page: the one place where the screens put errors into words."""

from dataclasses import dataclass
from typing import Final

from billing_ui.accounts.errors import AccountError, NoTeam
from billing_ui.billing.words import provider_mismatch
from billing_ui.payments.types import InvalidRequest, PaymentError, ProviderMismatch

KNOWN_FAILURES: Final = (PaymentError, AccountError)
"""The failures a person can act on; any other is a fault of ours and goes to the log."""

OUR_FAULT: Final = "Something went wrong here. Nothing was changed. Try again in a moment."


@dataclass(frozen=True)
class Problem:
    """What is wrong, as a banner says it: its first sentence, and what follows."""

    title: str = ""
    detail: str = ""


def problem_of(text: str) -> Problem:
    """Return a text of one or more sentences as a banner says it; no problem when it is empty."""
    title, stop, detail = text.partition(". ")
    return Problem(title + stop.rstrip(), detail)


def beside_try_again(text: str) -> str:
    """Return `text` without the advice to try again, which stands on a button beside it."""
    return text.replace("Try again in a moment.", "").replace("  ", " ").strip()


def in_words(error: PaymentError | AccountError) -> str:
    """Return the sentence a person reads when an action fails with `error`."""
    match error:
        case ProviderMismatch():
            return provider_mismatch(error.customer_provider, error.active_provider)
        case NoTeam():
            return "You are not in a team yet."
        case InvalidRequest():
            # The API begins with the name of a field, which no page has.
            field, colon, sentence = str(error).partition(": ")
            return (
                f"{sentence[0].upper()}{sentence[1:]}"
                if colon and field.isidentifier()
                else str(error)
            )
        case _:
            return str(error)
