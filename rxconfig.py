"""Reflex's configuration, derived from the application's own settings."""

import os

# Node and npm come from PyPI into the virtual environment, so nothing is downloaded from elsewhere.
os.environ.setdefault("REFLEX_USE_NPM", "1")
os.environ.setdefault("REFLEX_CHECK_LATEST_VERSION", "false")
# A connection that died silently is noticed, and made anew, within twenty seconds instead of two and a half minutes.
os.environ.setdefault("REFLEX_SOCKET_INTERVAL", "10s")
os.environ.setdefault("REFLEX_SOCKET_TIMEOUT", "10s")

import reflex as rx

from billing_ui.components.theme import theme_plugin
from billing_ui.settings import load_settings

settings = load_settings()

config = rx.Config(
    app_name="billing_ui",
    frontend_port=settings.port,
    backend_host="127.0.0.1" if settings.sandbox else "0.0.0.0",  # noqa: S104 - meant to be reached
    api_url=settings.browser_api_url,
    deploy_url=settings.base_url,
    # The default lets any site open the websocket with this site's cookies.
    cors_allowed_origins=[settings.base_origin],
    redis_url=settings.redis_url.get_secret_value() or None,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    disable_plugins=[rx.plugins.SitemapPlugin],
    plugins=[theme_plugin()],
)
