"""`/pricing`: the plans, for the team that is signed in or for anyone who passes by."""

import reflex as rx

from billing_ui.components.buttons import plain_link
from billing_ui.components.departure import leave
from billing_ui.components.empty import empty_card
from billing_ui.components.frame import page
from billing_ui.components.icons import icon
from billing_ui.components.loaded import loaded
from billing_ui.components.plan_offers import first_plan, offers, opening_failed, switches
from billing_ui.components.skeleton import bone, bones, loading
from billing_ui.states.addresses import PRICING
from billing_ui.states.pricing import PricingState


def pricing() -> rx.Component:
    """Return the page."""
    return page(
        rx.el.main(
            rx.el.div(
                rx.el.h1("Plans"),
                rx.cond(
                    PricingState.loaded,
                    rx.el.p(PricingState.introduction),
                    rx.el.p("What each plan costs and holds"),
                ),
                rx.cond(PricingState.loaded, switches(), _switches_to_come()),
                class_name="plans-head",
            ),
            loaded(
                PricingState,
                _content(),
                skeleton=_skeleton(),
                failure="The plans could not be loaded.",
                comfort="Try again in a moment.",
            ),
            id="main",
            tab_index=-1,
            class_name="wrap",
        ),
        leave(PricingState.departure),
        here=PRICING,
    )


def _content() -> rx.Component:
    return rx.fragment(
        opening_failed(),
        first_plan(),
        rx.cond(
            PricingState.offers.length() > 0,
            rx.fragment(offers(), _advice()),
            _nothing(),
        ),
    )


def _advice() -> rx.Component:
    return rx.cond(
        PricingState.advice != "",
        rx.el.p(
            icon("lock"),
            rx.el.span(
                PricingState.advice,
                rx.cond(
                    PricingState.contact != "",
                    rx.fragment(
                        " Ask ",
                        plain_link(PricingState.contact, href=f"mailto:{PricingState.contact}"),
                        ".",
                    ),
                    rx.fragment(),
                ),
            ),
            class_name="after",
        ),
        rx.cond(
            PricingState.switches,
            rx.el.p(
                icon("details"),
                rx.el.span(
                    "You confirm a switch in the billing portal, which shows what it costs and when."
                ),
                class_name="after",
            ),
            rx.fragment(),
        ),
    )


def _nothing() -> rx.Component:
    return empty_card(
        "plan",
        "No plans to choose from yet",
        rx.el.p(
            rx.cond(
                PricingState.nothing != "",
                PricingState.nothing,
                "They appear here as soon as there are any.",
            )
        ),
        label="No plans",
    )


def _switches_to_come() -> rx.Component:
    return rx.cond(
        PricingState.broken,
        rx.fragment(),
        rx.el.div(bone("160px", 36), bone("180px", 36), class_name="controls", aria_hidden="true"),
    )


def _skeleton() -> rx.Component:
    card = (
        bone("40%", 26),
        bone("80%", 20),
        bone("60%", 40),
        bone("50%", 20),
        bone("100%", 32),
        *(bone("70%", 16) for _ in range(5)),
    )
    return rx.fragment(
        loading("plans"),
        rx.el.div(*(bones(*card) for _ in range(3)), class_name="plans", aria_hidden="true"),
    )
