"""What stands above the plan, in words, and what there is to press."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from billing_ui.billing.banners import (
    Banner,
    OnHold,
    OnTrial,
    Paused,
    PaymentFailed,
    PaymentUnfinished,
    SetToCancel,
)
from billing_ui.billing.words import how_to_keep, provider_name
from billing_ui.i18n import Reader

BANNER_ICONS: Final = ("canceling", "clock", "failed", "paused", "warning")
"""Every icon a banner above the plan can have."""


@dataclass(frozen=True)
class BannerView:
    """One banner; every text is ready to read.

    Attributes:
        role: `alert` for what failed, `status` for the rest.
        action: what its button does, empty without one: "payment" opens the portal where the payment method is
            changed, "keep" at its first page. `label` is what stands on it.
        pay_url: where a link with `pay_label` leads; empty without one.
        solid: which of the two is the one solid button of the page: "action", "pay" or neither.
    """

    tone: str = "gray"
    icon: str = "warning"
    role: str = "status"
    title: str = ""
    detail: str = ""
    hint: str = ""
    action: str = ""
    label: str = ""
    pay_url: str = ""
    pay_label: str = ""
    solid: str = ""


def banner_views(
    banners: Sequence[Banner], provider: str, reader: Reader, *, portal: bool, payment: bool
) -> list[BannerView]:
    """Return the banners in words; only what is owed has a solid button, and only the first of all.

    Args:
        provider: whose customer it is, by its setting's value.
        portal: whether the portal can be opened here.
        payment: whether it can be opened where the payment method is changed.
    """
    named = sum(isinstance(each, PaymentFailed | PaymentUnfinished) for each in banners) > 1
    views = [
        _banner_view(each, provider, reader, named=named, portal=portal, payment=payment)
        for each in banners
    ]
    first = next((view for view in views if view.solid), None)
    views = [view if view is first else replace(view, solid="") for view in views]
    # One card pays them all: it is mended once, by the first banner that asks for it.
    mending = next((view for view in views if view.action == "payment"), None)
    return [
        replace(view, action="", label="")
        if view.action == "payment" and view is not mending
        else view
        for view in views
    ]


def _banner_view(
    banner: Banner, provider: str, reader: Reader, *, named: bool, portal: bool, payment: bool
) -> BannerView:
    match banner:
        case PaymentFailed():
            return _failed(banner, provider, reader, named=named, portal=portal, payment=payment)
        case OnHold():
            return _to_pay(
                BannerView(
                    tone="red",
                    icon="failed",
                    role="alert",
                    title=f"{banner.plan} is on hold.",
                    detail="Pay the open invoice to switch it back on.",
                ),
                banner.pay_url,
                "Pay invoice",
            )
        case PaymentUnfinished():
            what = f"Payment for {banner.plan}" if named else "Payment"
            return _to_pay(
                BannerView(
                    tone="amber",
                    icon="warning",
                    role="alert",
                    title=f"{what} not finished.",
                    detail=f"Confirm it with your bank to start {banner.plan}.",
                ),
                banner.pay_url,
                "Confirm payment",
            )
        case SetToCancel():
            return _set_to_cancel(banner, provider, reader, portal=portal)
        case OnTrial():
            return _on_trial(banner, reader, payment=payment)
        case Paused():
            resumes = banner.resumes_at
            return BannerView(
                icon="paused",
                title="Your plan is paused.",
                detail=f"Resumes on {reader.date(resumes)}." if resumes else "",
            )


def _failed(
    banner: PaymentFailed,
    provider: str,
    reader: Reader,
    *,
    named: bool,
    portal: bool,
    payment: bool,
) -> BannerView:
    amount = None if banner.amount is None else reader.money(banner.amount, banner.currency)
    what = f"Payment of {amount}" if amount else "Your last payment"
    again = banner.next_attempt_at
    means = "card" if banner.by_card else "payment method"
    name, mend = provider_name(provider), ""
    if payment:
        mend = f"Update your {means}"
    elif banner.pay_url:
        mend = "Pay the invoice"
    elif portal:
        # Manage Billing, below, leads to where that is done.
        mend = f"Update your {means} in {name}'s portal"
    sentences = (
        f"{name} tries again on {reader.date(again)}." if again else "",
        f"{mend} to keep {banner.plan}." if mend else "",
    )
    return BannerView(
        tone="red",
        icon="warning",
        role="alert",
        title=f"{what} for {banner.plan} failed." if named else f"{what} failed.",
        detail=" ".join(sentence for sentence in sentences if sentence),
        action="payment" if payment else "",
        label="Update payment method" if payment else "",
        pay_url=banner.pay_url or "",
        pay_label="Pay invoice" if banner.pay_url else "",
        solid="action" if payment else "pay" if banner.pay_url else "",
    )


def _to_pay(view: BannerView, pay_url: str | None, label: str) -> BannerView:
    return replace(view, pay_url=pay_url, pay_label=label, solid="pay") if pay_url else view


def _set_to_cancel(
    banner: SetToCancel, provider: str, reader: Reader, *, portal: bool
) -> BannerView:
    until = f" until {reader.date(banner.ends_at)}" if banner.ends_at else " for now"
    sentences = [f"{banner.plan} stays on{until}."]
    if banner.last_charge:
        sentences.append("You will not be charged again.")
    return BannerView(
        tone="amber",
        icon="canceling",
        title="Your plan is set to cancel.",
        detail=" ".join(sentences),
        hint=how_to_keep(provider) if portal else "",
        action="keep" if portal else "",
        label="Keep my plan" if portal else "",
    )


def _on_trial(banner: OnTrial, reader: Reader, *, payment: bool) -> BannerView:
    days = reader.plural(banner.days_left, "day", "days")
    sentences = []
    if not banner.can_pay:
        sentences.append(f"Add a payment method to stay on {banner.plan}.")
        if banner.ends_unpaid:
            sentences.append("Without one, the plan ends and nothing is charged.")
    offers = payment and not banner.can_pay
    return BannerView(
        tone="blue",
        icon="clock",
        title=f"{days} left in your trial." if banner.days_left else "Last day of your trial.",
        detail=" ".join(sentences),
        action="payment" if offers else "",
        label="Add payment method" if offers else "",
    )
