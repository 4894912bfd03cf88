"""Checkouts, the portal's links, and the addresses of hosted pages."""

import json
from dataclasses import asdict, replace

from pydantic import TypeAdapter

from billing_ui.sandbox.core.periods import DAY, HOUR
from billing_ui.sandbox.shop.dialect import ChangeKind
from billing_ui.sandbox.shop.errors import Impossible
from billing_ui.sandbox.shop.model import (
    Checkout,
    CheckoutStatus,
    Customer,
    Flow,
    Invoice,
    Json,
    Kind,
    PortalVisit,
    Subscription,
)
from billing_ui.sandbox.shop.subscriptions import Subscriptions

_VISIT = TypeAdapter(PortalVisit)


class Checkouts(Subscriptions):
    """The shop's operations on checkouts and portal links."""

    def open_checkout(
        self,
        price_id: str,
        quantity: int = 1,
        *,
        customer_id: str | None = None,
        email: str | None = None,
        name: str | None = None,
        external_id: str | None = None,
        customer_metadata: Json | None = None,
        success_url: str | None = None,
        return_url: str | None = None,
        trial_days: int | None = None,
        valid_seconds: int = DAY,
        metadata: Json | None = None,
        extra: Json | None = None,
    ) -> Checkout:
        """Open a checkout; see `Checkout` for the arguments, and `checkout_url` for its page.

        Raises:
            Missing: There is no such price or customer.
            Impossible: The price cannot be bought so, the customer was deleted, or a page would
                lead to something that is no web address.
        """
        _check_addresses(success_url, return_url)
        with self.together():
            price = self._buyable(price_id, quantity)
            if customer_id is not None:
                self.living_customer(customer_id)
            return self.save(
                Checkout(
                    id=self.new_id(Kind.CHECKOUT),
                    created=self.now,
                    updated=self.now,
                    price=price.id,
                    quantity=quantity,
                    customer=customer_id,
                    email=email,
                    name=name,
                    external_id=external_id,
                    customer_metadata=customer_metadata or {},
                    success_url=success_url,
                    return_url=return_url,
                    trial_days=trial_days,
                    expires_at=self.now + valid_seconds,
                    metadata=metadata or {},
                    extra=extra or {},
                )
            )

    def complete_checkout(
        self,
        checkout_id: str,
        *,
        email: str | None = None,
        number: str | None = None,
        exp_month: int | None = None,
        exp_year: int | None = None,
        cvc: str | None = None,
    ) -> Subscription:
        """Buy what a checkout sells with a new card; all of it happens, or nothing.

        Args:
            checkout_id: Which.
            email: The buyer's e-mail address, where the checkout has none or they changed it. That of
                a customer whom the checkout is for stays as it is.
            number: The card's; see `add_card`. The customer's default card is charged when None.
            exp_month: See `add_card`.
            exp_year: See `add_card`.
            cvc: See `add_card`.

        Raises:
            Missing: There is no such checkout.
            Impossible: It was completed or has expired, or no e-mail address is known.
            core.cards.CardProblem: The card is not accepted.
            PaymentFailed: There is no card, or it was declined.
        """
        with self.together():
            checkout = self.get(Checkout, checkout_id)
            if checkout.status is not CheckoutStatus.OPEN or self.now >= checkout.expires_at:
                raise Impossible("This checkout is closed.")
            customer = self._buyer(checkout, email)
            if number is not None:
                self.add_card(customer.id, number, exp_month, exp_year, cvc)
            subscription = self.subscribe(
                customer.id,
                checkout.price,
                checkout.quantity,
                trial_days=checkout.trial_days,
                invoice_id=checkout.id if self.dialect.checkout_becomes_invoice else None,
                metadata=checkout.metadata,
                extra=checkout.extra,
            )
            after = self.save(
                replace(
                    checkout,
                    status=CheckoutStatus.COMPLETE,
                    customer=customer.id,
                    subscription=subscription.id,
                )
            )
            self.tell(ChangeKind.CHECKOUT_COMPLETED, after, checkout)
        return subscription

    def buyer_email(self, checkout: Checkout) -> str | None:
        """Return the buyer's e-mail address; None when it has to be asked for."""
        if checkout.customer is not None:
            return self.get(Customer, checkout.customer).email
        return checkout.email

    def _buyer(self, checkout: Checkout, email: str | None) -> Customer:
        if checkout.customer is not None:
            return self.living_customer(checkout.customer)
        address = email or checkout.email
        if not address:
            raise Impossible("An e-mail address is needed.")
        known = self.customer_by_external_id(checkout.external_id) if checkout.external_id else None
        known = known or self.customer_by_email(address)
        return known or self.create_customer(
            address,
            name=checkout.name,
            external_id=checkout.external_id,
            metadata=checkout.customer_metadata,
        )

    # ------------------------------------------------------------------------------------ links

    def open_portal(
        self,
        customer_id: str,
        *,
        return_url: str | None = None,
        valid_seconds: int = HOUR,
        flow: Flow | None = None,
        subscription_id: str | None = None,
    ) -> PortalVisit:
        """Return a link into a customer's portal; nothing is written.

        Args:
            customer_id: Whose.
            return_url: Where "Return to …" leads; there is no such link when None.
            valid_seconds: How long the link can be opened; as often as one likes.
            flow: The one page it is for; the start page when None.
            subscription_id: What the flow is about; the newest live one when None.

        Raises:
            Missing: There is no such customer or subscription.
            Impossible: The customer was deleted, or the page would lead to something that is no
                web address.
        """
        _check_addresses(return_url)
        self.living_customer(customer_id)
        if subscription_id is not None:
            self.get(Subscription, subscription_id)
        visit = PortalVisit(
            customer=customer_id,
            return_url=return_url,
            expires_at=self.now + valid_seconds,
            flow=flow,
            subscription=subscription_id,
        )
        token = self.sign("portal", json.dumps(asdict(visit), separators=(",", ":")))
        return replace(visit, url=f"{self.origin}/p/session/{token}")

    def portal_visit(self, token: str) -> PortalVisit | None:
        """Return what the token of a portal link says; None when it is no good, or has expired."""
        text = self.unsign("portal", token)
        if text is None:
            return None
        visit = _VISIT.validate_json(text)
        return visit if self.now < visit.expires_at else None

    def checkout_url(self, checkout: Checkout) -> str:
        """Return the address of a checkout's page."""
        return f"{self.origin}/c/pay/{self.sign('checkout', checkout.id)}"

    def invoice_url(self, invoice: Invoice) -> str:
        """Return the address of an invoice's page, where an open one can be paid."""
        return f"{self.origin}/i/{self.sign('invoice', invoice.id)}"

    def pdf_url(self, invoice: Invoice) -> str:
        """Return the address of an invoice's PDF."""
        return f"{self.invoice_url(invoice)}/pdf"


def _check_addresses(*urls: str | None) -> None:
    for url in urls:
        if url is not None and not url.lower().startswith(("http://", "https://")):
            raise Impossible(f"{url} is no web address.")
