"""The resources of the API, one file each; importing this package registers their operations."""

from billing_ui.sandbox.stripe.resources import (
    checkout_sessions,
    customers,
    event_log,
    invoice_items,
    invoices,
    payment_intents,
    payment_methods,
    payment_pages,
    portal_configurations,
    portal_sessions,
    prices,
    products,
    setup_intents,
    subscriptions,
    tax_ids,
    webhook_endpoints,
)

__all__ = [
    "checkout_sessions",
    "customers",
    "event_log",
    "invoice_items",
    "invoices",
    "payment_intents",
    "payment_methods",
    "payment_pages",
    "portal_configurations",
    "portal_sessions",
    "prices",
    "products",
    "setup_intents",
    "subscriptions",
    "tax_ids",
    "webhook_endpoints",
]
