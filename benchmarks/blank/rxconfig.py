"""The blank application's configuration, as near to ours as can be."""

import os

os.environ.setdefault("REFLEX_USE_NPM", "1")
os.environ.setdefault("REFLEX_CHECK_LATEST_VERSION", "false")

import reflex as rx

port = int(os.environ["PORT"])

config = rx.Config(
    app_name="blank_page",
    frontend_port=port,
    backend_host="127.0.0.1",
    api_url=f"http://localhost:{port}",
    deploy_url=f"http://localhost:{port}",
    cors_allowed_origins=[f"http://localhost:{port}"],
    telemetry_enabled=False,
    show_built_with_reflex=False,
    disable_plugins=[rx.plugins.SitemapPlugin],
    plugins=[rx.plugins.RadixThemesPlugin()],
)
