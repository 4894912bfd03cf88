"""Whose shop it is, as Polar's API shows an organization: set up as the dashboard wants it."""

from typing import Final

from billing_ui.sandbox.polar import shapes
from billing_ui.sandbox.shop.model import Json
from billing_ui.sandbox.shop.shop import Shop

_FEATURES: Final = (
    "issue_funding_enabled",
    "wallets_enabled",
    "checkout_localization_enabled",
    "reset_proration_behavior_enabled",
    "off_session_charges_enabled",
    "meter_cycling_enabled",
    "slack_benefit_enabled",
    "preview_access_enabled",
    "disputes_enabled",
    "sso_enabled",
    "dispute_auto_accept_enabled",
    "compass_enabled",
    "merchant_migration_enabled",
    "frame_ancestors_enforced",
)


def organization(shop: Shop) -> Json:
    """Return whose shop it is."""
    mails = ("order_confirmation", "payment_method_expiration_reminder")
    changes = ("cancellation", "confirmation", "cycled", "cycled_after_trial", "past_due")
    more = ("paused", "resumed", "renewal_reminder", "revoked", "trial_conversion_reminder")
    told = (
        *mails,
        *(f"subscription_{change}" for change in (*changes, *more, "uncanceled", "updated")),
    )
    grants = ("checkout_payments", "subscription_renewals", "payouts", "refunds")
    return {
        "created_at": shapes.written(0),
        "modified_at": None,
        "id": shapes.organization_id(shop),
        "name": shop.name,
        "slug": "".join(letter if letter.isalnum() else "-" for letter in shop.name.lower()),
        "avatar_url": None,
        "proration_behavior": "invoice",
        "allow_customer_updates": True,
        "email": None,
        "website": None,
        "socials": [],
        "status": "active",
        "details_submitted_at": shapes.written(0),
        "onboarding_resubmission_requested_at": None,
        "sso_enforced": False,
        "default_presentment_currency": "usd",
        "default_tax_behavior": "location",
        "feature_settings": {
            **dict.fromkeys(_FEATURES, False),
            "member_model_enabled": True,
            "overview_metrics": None,
        },
        "subscription_settings": {
            "allow_multiple_subscriptions": False,
            "proration_behavior": "invoice",
            "benefit_revocation_grace_period": 0,
            "prevent_trial_abuse": False,
            "allow_customer_updates": True,
        },
        "customer_email_settings": dict.fromkeys(told, True),
        "customer_portal_settings": {
            "usage": {"show": False},
            "subscription": {
                "update_seats": True,
                "update_plan": True,
                "update_units": True,
                "pause": False,
            },
            "customer": {"allow_email_change": True},
        },
        "dispute_settings": {"auto_accept_below_amount": None},
        "embed_hosts": [],
        "country": "US",
        "account_id": None,
        "payout_account_id": None,
        "capabilities": dict.fromkeys((*grants, "api_access", "dashboard_access"), True),
    }
