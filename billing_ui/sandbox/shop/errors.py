"""Why a shop refuses an operation; each dialect says it in its provider's own shape."""

from billing_ui.sandbox.shop.model import Kind


class ShopError(Exception):
    """An operation that cannot be done; `str(error)` is a sentence for people."""


class Missing(ShopError):
    """There is no such record."""

    def __init__(self, kind: Kind, record_id: str) -> None:
        super().__init__(f"There is no {kind.replace('_', ' ')} {record_id}.")
        self.kind = kind
        self.record_id = record_id


class Taken(ShopError):
    """Another record has this id, e-mail address or external id already."""

    def __init__(self, field: str, value: str, other: str) -> None:
        super().__init__(f"The {field.replace('_', ' ')} {value} is taken by {other}.")
        self.field = field
        self.value = value
        self.other = other


class Impossible(ShopError):
    """The record is in no state for it, such as canceling what has ended."""


class PaymentFailed(ShopError):
    """Nothing could be charged: there is no card, or it was declined. Nothing was changed."""
