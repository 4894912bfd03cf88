"""The theme: Radix's accent, gray and radius, and the style sheet that goes with them."""

from typing import Final

import reflex as rx

STYLESHEETS: Final = ["/billing.css"]
"""What `rx.App(stylesheets=…)` takes; the file stands in `assets/`."""


def theme_plugin() -> rx.plugins.RadixThemesPlugin:
    """Return the plugin that wraps every page in the theme; light or dark follows the system."""
    return rx.plugins.RadixThemesPlugin(
        theme=rx.theme(
            accent_color="indigo",
            gray_color="slate",
            radius="large",
            panel_background="solid",
        )
    )
