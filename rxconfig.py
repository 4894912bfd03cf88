"""Reflex's configuration, derived from the application's own settings."""

import atexit
import os
import shutil
import tempfile

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


def _forget_metrics(directory: str, maker: int) -> None:
    # Workers that were forked inherit this, and must leave the others' numbers alone.
    if os.getpid() == maker:
        shutil.rmtree(directory, ignore_errors=True)


# With Redis several processes serve one port. What each counts is added up through files, for which the
# first of them makes a place that the others inherit; it must be known before anything is counted.
if settings.redis_url.get_secret_value() and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="billing-ui-metrics-")
    atexit.register(_forget_metrics, os.environ["PROMETHEUS_MULTIPROC_DIR"], os.getpid())

config = rx.Config(
    app_name="billing_ui",
    frontend_port=settings.port,
    backend_host="127.0.0.1" if settings.sandbox else "0.0.0.0",  # noqa: S104 - meant to be reached
    api_url=settings.browser_api_url,
    deploy_url=settings.base_url,
    # The default lets any site open the websocket with this site's cookies.
    cors_allowed_origins=list(settings.page_origins),
    trusted_proxy_hops=settings.trusted_proxy_hops,
    redis_url=settings.redis_url.get_secret_value() or None,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    disable_plugins=[rx.plugins.SitemapPlugin],
    plugins=[theme_plugin()],
)
