"""Checkouts at Paddle: transactions that are not paid yet, of which a team shares one."""

from datetime import timedelta
from typing import Any, Final

from paddle_billing.Entities.Shared import (
    CollectionMode,
    CurrencyCode,
    CustomData,
    TransactionStatus,
)
from paddle_billing.Entities.Transaction import Transaction
from paddle_billing.Resources.Transactions.Operations import (
    CreateTransaction,
    ListTransactions,
    TransactionOrigin,
    UpdateTransaction,
)
from paddle_billing.Resources.Transactions.Operations.Create import TransactionCreateItem
from paddle_billing.Resources.Transactions.Operations.Update import TransactionUpdateItem
from paddle_billing.Undefined import Undefined

from billing_ui.clock import utc_now
from billing_ui.payments.paddle import mapping
from billing_ui.payments.paddle.client import Paddle, Refused
from billing_ui.payments.types import InvalidRequest, Payer, ProviderRejected, StartCheckoutInput

NO_PAGE: Final = (
    "Paddle has no page to pay on. Whoever runs the site must set the default payment link in "
    "Paddle's dashboard under Checkout → Checkout settings."
)

_OPEN: Final = (TransactionStatus("draft"), TransactionStatus("ready"))
_REUSED_FOR: Final = timedelta(hours=24)
"""How long a checkout that nobody paid is offered again."""


async def open_checkout(paddle: Paddle, customer: str, request: StartCheckoutInput) -> Transaction:
    """Return the transaction that is to be paid, with the address of its page.

    That address is the account's default payment link, a page of the company's that loads Paddle.js, with
    the transaction's id. A transaction that is not ready cannot be canceled. So several tabs share the
    oldest of the last day, and two of them cannot buy twice.

    Args:
        customer: who buys.

    Raises:
        InvalidRequest: the price cannot be bought so, or a payment is being made at this moment.
        PaymentError: as `Paddle.call`.
    """
    opened = await _find(paddle, customer, request.payer)
    if opened is not None:
        opened = await _rewrite(paddle, opened, request)
    if opened is None:
        made = await _create(paddle, customer, request)
        # Of several made at once everybody takes the oldest.
        opened = await _find(paddle, customer, request.payer) or made
    return opened


async def _find(paddle: Paddle, customer: str, payer: Payer) -> Transaction | None:
    page = await paddle.page(
        lambda client: client.transactions,
        lambda pager: ListTransactions(
            pager,
            customer_ids=[customer],
            statuses=list(_OPEN),
            origins=[TransactionOrigin("api")],
        ),
    )
    since, team_id = utc_now() - _REUSED_FOR, str(payer.team_id)
    ours = [
        one
        for one in page.items
        if one.created_at > since and mapping.text_in(one.custom_data, "team_id") == team_id
    ]
    return min(ours, key=lambda one: (one.created_at, one.id), default=None)


async def _rewrite(
    paddle: Paddle, opened: Transaction, request: StartCheckoutInput
) -> Transaction | None:
    """Return an open checkout with what is to be bought now; None when it was paid a moment ago."""
    operation = UpdateTransaction(
        items=[TransactionUpdateItem(request.price_id, request.quantity)],
        currency_code=_currency(request),
    )
    try:
        return await paddle.call(lambda client: client.transactions.update(opened.id, operation))
    except Refused as refusal:
        if refusal.code == "transaction_immutable":
            return None
        if refusal.code == "transaction_immutable_while_processing_payment":
            raise InvalidRequest(
                "A payment is being made for your team in another tab. Finish it there."
            ) from None
        raise _named(refusal) from None


async def _create(paddle: Paddle, customer: str, request: StartCheckoutInput) -> Transaction:
    operation = CreateTransaction(
        items=[TransactionCreateItem(request.price_id, request.quantity)],
        customer_id=customer,
        # Paddle copies it to the subscription that comes of it.
        custom_data=CustomData({"team_id": str(request.payer.team_id)}),
        currency_code=_currency(request),
        collection_mode=CollectionMode("automatic"),
    )
    try:
        return await paddle.call(lambda client: client.transactions.create(operation))
    except Refused as refusal:
        raise _named(refusal) from None


def _currency(request: StartCheckoutInput) -> Any:
    return CurrencyCode(request.currency.upper()) if request.currency else Undefined()


def _named(refusal: Refused) -> ProviderRejected | InvalidRequest:
    """Return what a refusal is to a person: of the account, or of what they chose."""
    if refusal.code == "transaction_default_checkout_url_not_set":
        return ProviderRejected(NO_PAGE)
    if refusal.status in (400, 404) and not refusal.code.startswith("transaction_checkout"):
        return InvalidRequest(f"Paddle can't open this page: {refusal.detail}")
    return refusal
