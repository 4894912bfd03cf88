"""A page that the browser has kept: out of sight once it is left, and loaded anew when somebody comes back to it."""

import reflex as rx

# Browsers keep the last pages whole, and Back shows them without asking us. By then somebody else may be signed
# in; besides, their websocket is dead and a button may still be busy.
_CODE = """
function KeptPage() {
  useEffect(() => {
    const hide = (event) => {
      if (event.persisted) document.documentElement.style.visibility = "hidden";
    };
    const renew = (event) => {
      if (event.persisted) window.location.reload();
    };
    window.addEventListener("pagehide", hide);
    window.addEventListener("pageshow", renew);
    return () => {
      window.removeEventListener("pagehide", hide);
      window.removeEventListener("pageshow", renew);
    };
  }, []);
  return null;
}
"""


class _KeptPage(rx.Component):
    """Shows nothing; sees to it that what a kept page shows is never seen again."""

    tag = "KeptPage"

    def add_imports(self) -> dict[str, list[str]]:
        """The hook comes from React."""
        return {"react": ["useEffect"]}

    def add_custom_code(self) -> list[str]:
        """The component stands beside the page's own."""
        return [_CODE]


def kept_page() -> rx.Component:
    """Return what hides the page when it is left, and loads it anew when it is come back to."""
    return _KeptPage.create()
