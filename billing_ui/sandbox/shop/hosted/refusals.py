"""What a form says when the shop refuses what it sent."""

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.hosted.forms import Form, note_card_problem
from billing_ui.sandbox.shop.errors import ShopError


def note_refusal(form: Form, error: CardProblem | ShopError) -> str:
    """Put what is wrong with a card beside the field it is about.

    Returns:
        What to say of the form as a whole: "" for a card, why else nothing was done otherwise.
    """
    if isinstance(error, ShopError):
        return str(error)
    note_card_problem(form, error.code, str(error))
    return ""
