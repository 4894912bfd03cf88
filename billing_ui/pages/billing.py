"""`/settings/billing`: the plan, how it is paid, and the invoices."""

import reflex as rx

from billing_ui.components.account_cards import details_card, payment_card
from billing_ui.components.banner import banner
from billing_ui.components.buttons import busy_button
from billing_ui.components.clock import clock
from billing_ui.components.departure import leave
from billing_ui.components.empty import no_team
from billing_ui.components.feed import feed
from billing_ui.components.focus_keeper import focus_keeper
from billing_ui.components.frame import settings_page
from billing_ui.components.freshness import freshness, refresh_failed
from billing_ui.components.invoice_table import invoice_table
from billing_ui.components.loaded import loaded
from billing_ui.components.plan_banners import plan_banners
from billing_ui.components.plan_card import plan_card
from billing_ui.components.result import arrivals, back_again, visit_result
from billing_ui.components.site import support_link
from billing_ui.components.skeleton import bone, bones, loading
from billing_ui.components.spend_plot import spend_plot
from billing_ui.components.waking import waking
from billing_ui.states.addresses import BILLING
from billing_ui.states.billing import HEADING, BillingState


def billing() -> rx.Component:
    """Return the page."""
    return settings_page(
        _head(),
        loaded(
            BillingState,
            rx.cond(
                BillingState.in_team,
                _content(),
                no_team("plan", "Plans and invoices belong to a team. Ask its owner to add you."),
            ),
            skeleton=_skeleton(),
            failure="Billing could not be loaded.",
        ),
        leave(BillingState.departure),
        clock(runs=BillingState.tells_time, on_minute=BillingState.tell_time),
        waking(BillingState.tell_time),
        focus_keeper(within="main", refuge=HEADING),
        here=BILLING,
    )


def _head() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.h1("Billing", id=HEADING, tab_index=-1),
            rx.cond(
                BillingState.team_name != "",
                rx.el.p("Plan, payment and invoices for ", BillingState.team_name),
                rx.el.p("Plan, payment and invoices"),
            ),
        ),
        rx.cond(
            BillingState.loaded,
            freshness(),
            rx.el.div(bone("190px", 16), class_name="fresh still", aria_hidden="true"),
        ),
        class_name="head",
    )


def _content() -> rx.Component:
    return rx.fragment(
        _portal_failed(),
        _mismatch(),
        plan_banners(),
        refresh_failed(),
        back_again(),
        visit_result(),
        arrivals(),
        plan_card(),
        rx.cond(
            BillingState.shows_account,
            rx.fragment(
                rx.el.div(payment_card(), details_card(), class_name="two"),
                rx.cond(
                    BillingState.spend.total != "",
                    rx.el.div(spend_plot(), feed(), class_name="wide"),
                    feed(),
                ),
                invoice_table(),
            ),
            rx.fragment(),
        ),
    )


def _portal_failed() -> rx.Component:
    return rx.cond(
        BillingState.problem != "",
        banner(
            "The billing portal didn't open.",
            rx.el.p(BillingState.problem),
            tone="red",
            icon_name="warning",
            role="alert",
            # It stays while trying again, or the focus would go with it.
            action=rx.cond(
                BillingState.offers.portal,
                busy_button(
                    "Try again", busy=BillingState.opening != "", on_click=BillingState.try_again
                ),
                rx.fragment(),
            ),
        ),
        rx.fragment(),
    )


def _mismatch() -> rx.Component:
    return rx.cond(
        BillingState.mismatch.title != "",
        banner(
            BillingState.mismatch.title,
            rx.el.p(BillingState.mismatch.detail),
            tone="amber",
            icon_name="warning",
            role="status",
            action=support_link("Contact support"),
        ),
        rx.fragment(),
    )


def _skeleton() -> rx.Component:
    return rx.fragment(
        loading("billing"),
        bones(
            rx.el.div(
                bone("84px", 20),
                rx.el.span(class_name="grow"),
                bone("146px", 32, class_name="hide-small"),
                bone("104px", 32, class_name="hide-small"),
                class_name="row",
            ),
            bone("130px", 24),
            bone("260px", 36),
            bone("190px", 18),
            bone("100%", 44, class_name="only-small"),
            rx.el.div(
                *(
                    bones(bone("64px", 16), bone("140px", 22), bone("80%", 16), card=False)
                    for _ in range(2)
                ),
                bones(bone("96px", 16), *(bone("70%", 14) for _ in range(4)), card=False),
                class_name="stats",
            ),
            rx.el.div(bone("320px", 16), class_name="foot"),
        ),
        rx.el.div(
            bones(bone("110px", 30), bone("80%", 14), bone("60%", 14), bone("70%", 14)),
            bones(bone("100px", 30), bone("80%", 14), bone("60%", 14), bone("70%", 14)),
            class_name="two",
            aria_hidden="true",
        ),
        rx.el.div(
            bones(bone("90px", 30), bone("180px", 30), bone("100%", 168), bone("96px", 16)),
            bones(bone("130px", 30), *(bone("90%", 28) for _ in range(4))),
            class_name="wide",
            aria_hidden="true",
        ),
        bones(
            bone("90px", 22),
            bone("100%", 24),
            *(bone("100%", 32) for _ in range(8)),
            bone("80px", 32),
        ),
    )
