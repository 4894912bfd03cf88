"""Recent changes: what happened, how we know, and when."""

import reflex as rx

from billing_ui.components.icons import icon_for
from billing_ui.states.billing import BillingState
from billing_ui.states.feed_view import FeedLine
from billing_ui.states.result_view import RESULT_ICONS


def feed() -> rx.Component:
    """Return the region "Recent changes"."""
    return rx.el.section(
        rx.el.header(rx.el.h2("Recent changes", id="feed-heading")),
        rx.cond(
            BillingState.feed.length() > 0,
            rx.el.ol(rx.foreach(BillingState.feed, _line), class_name="feed"),
            rx.el.p("No changes yet.", class_name="muted"),
        ),
        class_name="card",
        aria_labelledby="feed-heading",
    )


def _line(line: rx.Var[FeedLine]) -> rx.Component:
    return rx.el.li(
        rx.el.span(icon_for(line.icon, RESULT_ICONS, "plan"), class_name="sign"),
        rx.el.div(
            rx.el.p(line.sentence, class_name="medium"),
            rx.el.p(
                line.source,
                ", ",
                rx.el.time(line.when, date_time=line.moment, title=line.title),
                class_name="small muted",
            ),
        ),
    )
