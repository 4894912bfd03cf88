"""The invoices: a table of eight rows, and the buttons that turn its pages."""

import reflex as rx

from billing_ui.components.badge import status_badge
from billing_ui.components.buttons import plain_link
from billing_ui.components.icons import icon
from billing_ui.components.pager import pager
from billing_ui.states.account_view import InvoiceView
from billing_ui.states.billing import BillingState


def invoice_table() -> rx.Component:
    """Return the region "Invoices"."""
    return rx.el.section(
        rx.el.header(rx.el.h2("Invoices", id="invoices-heading")),
        rx.cond(
            BillingState.invoices.length() > 0,
            rx.fragment(_table(), _pager()),
            rx.el.div(
                rx.el.p(
                    "No invoices yet.",
                    rx.cond(
                        BillingState.offers.plans,
                        " The first one appears here after you choose a plan.",
                        "",
                    ),
                    class_name="muted",
                ),
                class_name="nothing",
            ),
        ),
        class_name="card flush",
        aria_labelledby="invoices-heading",
    )


def _table() -> rx.Component:
    heading = rx.el.th
    return rx.el.div(
        rx.el.table(
            rx.el.caption("Invoices, newest first", class_name="sr"),
            rx.el.thead(
                rx.el.tr(
                    heading("Date", scope="col"),
                    _if_numbered(heading("Number", scope="col", class_name="hide-small")),
                    heading("Amount", scope="col", class_name="num"),
                    heading("Status", scope="col"),
                    heading(rx.el.span("Download", class_name="sr"), scope="col"),
                )
            ),
            rx.el.tbody(rx.foreach(BillingState.invoices, _row)),
            class_name="table",
        ),
        class_name="scroll",
        role="group",
        tab_index=0,
        aria_labelledby="invoices-heading",
    )


def _if_numbered(part: rx.Component) -> rx.Component:
    # Some providers number no invoice: a column of dashes would say nothing.
    return rx.cond(BillingState.numbered, part, rx.fragment())


def _row(invoice: rx.Var[InvoiceView]) -> rx.Component:
    return rx.el.tr(
        rx.el.th(
            rx.el.span(invoice.date, class_name="hide-small"),
            rx.el.span(invoice.short_date, class_name="only-small"),
            # On a phone the number stands under the date instead of in a column of its own.
            _if_numbered(
                rx.el.span(invoice.number, class_name="only-small small muted", aria_hidden="true")
            ),
            id=invoice.date_id,
            scope="row",
        ),
        _if_numbered(rx.el.td(invoice.number, id=invoice.number_id, class_name="hide-small mono")),
        rx.el.td(invoice.amount, class_name="num medium"),
        rx.el.td(status_badge(invoice.badge)),
        rx.el.td(
            rx.cond(
                invoice.pdf_url != "",
                plain_link(
                    rx.fragment(icon("download"), rx.el.span("Download PDF")),
                    invoice.pdf_url,
                    rel="noreferrer",
                    class_name="download",
                    aria_describedby=rx.cond(
                        BillingState.numbered, invoice.number_id, invoice.date_id
                    ),
                ),
                rx.fragment(),
            ),
            class_name="num",
        ),
    )


def _pager() -> rx.Component:
    return rx.el.div(
        pager(
            "Invoice pages",
            BillingState.invoice_range,
            before=(BillingState.has_newer, BillingState.show_newer_invoices),
            after=(BillingState.has_older, BillingState.show_older_invoices),
        ),
        class_name="foot",
    )
