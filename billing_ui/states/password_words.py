"""What is said when a form with a password, or with a name and an e-mail, was not accepted."""

from typing import Final

from billing_ui.accounts.errors import InvalidEmail
from billing_ui.accounts.password_strength import SENTENCES, Weakness

_OTHERS: Final = {
    "taken": "There is an account with this e-mail already. Sign in to accept.",
    "email": InvalidEmail.default,
    "current": "Your present password is another one.",
    "limited": "Too many tries. Try again in 15 minutes.",
}


def failure_in_words(code: str) -> str:
    """Return the sentence for what the backend said of a form in a word; empty for none that it says."""
    if code in _OTHERS:
        return _OTHERS[code]
    return next((SENTENCES[weakness] for weakness in Weakness if weakness.value == code), "")
