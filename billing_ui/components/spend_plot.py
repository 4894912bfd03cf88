"""Twelve months of spending: the sum, the bars, and the same as a table."""

import reflex as rx

from billing_ui.components.icons import icon
from billing_ui.states.billing import BillingState
from billing_ui.states.spend_view import Bar, Tick

_SUMMARY = "spend-summary"


def spend_plot() -> rx.Component:
    """Return the region "Spend"."""
    spend = BillingState.spend
    return rx.el.section(
        rx.el.header(
            rx.el.h2("Spend", id="spend-heading"),
            rx.el.span(spend.period, class_name="muted"),
        ),
        rx.el.figure(
            rx.el.p(
                rx.el.span(spend.total, class_name="big"),
                " ",
                rx.el.span(spend.average, class_name="muted"),
                class_name="sum",
            ),
            rx.cond(
                spend.others != "",
                rx.el.p(spend.others, class_name="muted small"),
                rx.fragment(),
            ),
            rx.el.p(spend.summary, id=_SUMMARY, class_name="sr"),
            _drawing(),
            _table(),
            aria_labelledby="spend-heading",
            aria_describedby=_SUMMARY,
        ),
        class_name="card spend",
        aria_labelledby="spend-heading",
    )


def _drawing() -> rx.Component:
    spend = BillingState.spend
    return rx.el.div(
        rx.el.div(rx.foreach(spend.ticks, _tick), class_name="grid"),
        rx.el.div(rx.foreach(spend.bars, _bar), class_name="bars"),
        class_name="plot",
        style={"--axis": spend.axis},
        aria_hidden="true",
    )


def _tick(tick: rx.Var[Tick]) -> rx.Component:
    return rx.el.i(rx.el.b(tick.label), style={"bottom": tick.height})


def _bar(bar: rx.Var[Bar]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.cond(bar.caption != "", rx.el.span(bar.caption, class_name="cap"), rx.fragment()),
            class_name="bar",
            style={"height": bar.height},
        ),
        rx.el.span(bar.name, class_name="long"),
        rx.el.span(bar.initial, class_name="short"),
        title=f"{bar.month}: {bar.amount}",
    )


def _table() -> rx.Component:
    return rx.el.details(
        rx.el.summary(icon("open", 14), "Show as table"),
        rx.el.table(
            rx.el.caption("Spend per month", class_name="sr"),
            rx.el.thead(
                rx.el.tr(
                    rx.el.th("Month", scope="col"),
                    rx.el.th("Paid", scope="col", class_name="num"),
                )
            ),
            rx.el.tbody(
                rx.foreach(
                    BillingState.spend.bars,
                    lambda bar: rx.el.tr(
                        rx.el.th(bar.month, scope="row"),
                        rx.el.td(bar.amount, class_name="num"),
                    ),
                )
            ),
            class_name="table",
        ),
        class_name="data",
    )
