"""How drivers read what text at a provider says, whichever it is: numbers, and whose customer it is."""

from uuid import UUID

from billing_ui.payments.types import Payer


def whole_number(text: str, digits: int = 9) -> int | None:
    """Return the number that `text` writes in ASCII digits; None when it writes none, or has more than `digits`."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def metadata(payer: Payer) -> dict[str, str]:
    """Return what says at a provider whose customer it is."""
    return {"team_id": str(payer.team_id), "generation": str(payer.generation)}


def team_in(text: str) -> UUID | None:
    """Return the team that metadata names; None when it is none of ours, but someone else's of the same name."""
    try:
        return UUID(text)
    except ValueError:
        return None


def generation_in(text: str) -> int:
    """Return the generation that metadata names, else 1."""
    return whole_number(text, digits=4) or 1
