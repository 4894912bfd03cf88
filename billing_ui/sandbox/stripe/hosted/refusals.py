"""What a form says when the API refuses what it sent."""

from billing_ui.sandbox.hosted.forms import Form, note_card_problem
from billing_ui.sandbox.stripe.errors import StripeError


def note_refusal(form: Form, error: StripeError) -> str:
    """Put the API's refusal of a card beside the field it is about.

    Returns:
        What to say of the form as a whole: "" for a card, why else nothing was done otherwise.
    """
    if error.type != "card_error":
        return error.message
    note_card_problem(form, error.code or "", error.message)
    return ""
