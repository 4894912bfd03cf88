"""Keeping the focus on the page when what had it goes away by itself."""

import reflex as rx

# What another tab or the provider changes may take a button away under somebody's fingers. The browser
# then forgets where they were, and the next Tab begins at the top of the document.
_CODE = """
function FocusKeeper({ within, refuge }) {
  useEffect(() => {
    const place = document.getElementById(within);
    if (!place) return;
    let last = null;
    const note = (event) => { last = event.target; };
    const leave = (event) => { if (last && !last.contains(event.target)) last = null; };
    const keep = () => {
      if (!last || last.isConnected || document.activeElement !== document.body) return;
      last = null;
      document.getElementById(refuge)?.focus({ preventScroll: true });
    };
    const changes = new MutationObserver(keep);
    changes.observe(place, { childList: true, subtree: true });
    document.addEventListener("focusin", note);
    document.addEventListener("pointerdown", leave);
    return () => {
      changes.disconnect();
      document.removeEventListener("focusin", note);
      document.removeEventListener("pointerdown", leave);
    };
  }, [within, refuge]);
  return null;
}
"""


class _FocusKeeper(rx.Component):
    """Shows nothing; watches the element with the id `within`."""

    tag = "FocusKeeper"

    within: rx.Var[str]
    refuge: rx.Var[str]

    def add_imports(self) -> dict[str, list[str]]:
        """The hook comes from React."""
        return {"react": ["useEffect"]}

    def add_custom_code(self) -> list[str]:
        """The component stands beside the page's own."""
        return [_CODE]


def focus_keeper(*, within: str, refuge: str) -> rx.Component:
    """Return what moves the focus to `refuge` when the element that had it vanishes from `within`.

    Args:
        within: the id of the element whose contents come and go.
        refuge: the id of an element that can take the focus.
    """
    return _FocusKeeper.create(within=within, refuge=refuge)
