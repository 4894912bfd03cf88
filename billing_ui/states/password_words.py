"""What is said when a form with a password, or with a name and an e-mail, was not accepted."""

from dataclasses import dataclass
from typing import Final

from billing_ui.accounts.errors import InvalidEmail
from billing_ui.accounts.password_strength import SENTENCES, Weakness


@dataclass(frozen=True)
class FormFailure:
    """Why a form was not accepted, and the name of the field that it is about; blank when nothing is wrong."""

    words: str = ""
    field: str = ""


_OTHERS: Final = {
    "taken": FormFailure("There is an account with this e-mail. Sign in to accept.", "email"),
    "email": FormFailure(InvalidEmail.default, "email"),
    "current": FormFailure("Your present password is another one.", "current"),
    "limited": FormFailure("Too many tries. Try again in 15 minutes.", "current"),
}


def failure_in_words(code: str) -> FormFailure:
    """Return what the backend said of a form in a word; blank for none that it says."""
    weakness = next((each for each in Weakness if each.value == code), None)
    return (
        FormFailure(SENTENCES[weakness], "password")
        if weakness
        else _OTHERS.get(code, FormFailure())
    )
