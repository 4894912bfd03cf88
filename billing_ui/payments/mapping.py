"""How drivers read what text of a provider's says, whichever it is: headers, numbers, and whose customer it is."""

from collections.abc import Mapping
from uuid import UUID

from billing_ui.payments.types import Payer


def header(headers: Mapping[str, str] | None, name: str) -> str:
    """Return the header that is called `name`, given in lower case; empty when there is none."""
    return next((value for key, value in (headers or {}).items() if key.lower() == name), "")


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
