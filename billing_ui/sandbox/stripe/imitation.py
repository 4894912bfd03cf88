"""Stripe as the sandbox's server wants it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from billing_ui.sandbox.core import control
from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.core.imitation import Imitation
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.stripe import hosted, lifecycle, seeding, storms
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.http import StripeAPI
from billing_ui.sandbox.stripe.pruning import prune
from billing_ui.sandbox.stripe.resources import webhook_endpoints
from billing_ui.sandbox.stripe.shapes import Json


def imitate(store: Store, faults: Faults, origin: str, name: str) -> Imitation:
    """Return Stripe.

    Args:
        store: Where everything is kept.
        faults: What goes wrong with requests.
        origin: The sandbox's own address, such as `http://127.0.0.1:8420`.
        name: Whose account it is: the seller on hosted pages and invoices.
    """
    account = Account(store, origin, name)

    def register(url: str, secret: str, events: list[str], wanted_id: str | None) -> Json:
        with _refusing():
            return webhook_endpoints.register_known(account, url, secret, events, wanted_id)

    def unregister(endpoint_id: str) -> None:
        if account.store.get(endpoint_id) is not None:
            with _refusing():
                account.call("post", f"/v1/webhook_endpoints/{endpoint_id}", {"disabled": True})

    def step(held: bool) -> bool:
        if lifecycle.step_test_clocks(account):
            return True
        return not held and lifecycle.step(account, int(time.time()))

    return Imitation(
        title="Stripe",
        hint=f'StripeClient("sk_test_sandbox", base_addresses={{"api": "{origin}"}})',
        paths=("/v1/",),
        api=StripeAPI(account, faults),
        pages=hosted.routes(account),
        control=_controlled(account),
        outbox=account.outbox,
        pack=partial(webhook_endpoints.pack, account),
        register=register,
        unregister=unregister,
        step=step,
        prune=partial(prune, account),
        bell=account.clock_bell,
    )


def _controlled(account: Account) -> control.Provider:
    def call(
        method: str, path: str, params: Json, *, at: int | None, wanted_id: str | None
    ) -> Json:
        with _refusing():
            return account.call(method, path, params, at=at, wanted_id=wanted_id)

    def advance(customer: str, to: int) -> int:
        with _refusing():
            if account.get("customer", customer)["test_clock"]:
                raise StripeError(f"The time of {customer} is that of its test clock.")
        return lifecycle.advance(account, to, customer)

    def seed(wish: control.Seed) -> Iterator[Json]:
        with _refusing():
            yield from seeding.seed(account, wish)

    def storm(wish: control.Storm) -> Iterator[int]:
        with _refusing():
            yield from storms.storm(account, wish)

    def dun(then: control.Outcome) -> None:
        account.after_dunning = then

    def wipe() -> None:
        account.store.wipe()
        account.outbox.clear()
        dun("cancel")

    return control.Provider(call, account.store.transaction, advance, dun, seed, storm, wipe)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn Stripe's errors into those the control API answers with."""
    try:
        yield
    except StripeError as error:
        raise control.Refusal(error.status, error.body()) from None
