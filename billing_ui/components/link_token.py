"""The token of a one-time link, which the browser has behind the `#` of the address and nobody else is sent.

It goes into a form's hidden field, and to the one handler that says what the link is for.
"""

from typing import Any

import reflex as rx

# Taken out before anything else runs: Reflex tells the server the address of the page with each event, the
# part behind the # too, and the server keeps it. A reload, and coming back from sign-in, finds it in this tab alone.
_CODE = """
const LINK_PAGES = ["/invitation", "/reset-password"];
function takeLinkToken() {
  const page = window.location.pathname;
  const given = window.location.hash.slice(1);
  if (!given || !LINK_PAGES.includes(page)) return false;
  sessionStorage.setItem(`link ${page}`, given);
  window.history.replaceState(window.history.state, "", page);
  return true;
}
if (typeof window !== "undefined") {
  takeLinkToken();
  // Another link put into the address of the open page.
  window.addEventListener("hashchange", () => { if (takeLinkToken()) window.location.reload(); });
}
function LinkToken({ asked, onToken }) {
  const [token, setToken] = useState("");
  const tell = useRef(onToken);
  tell.current = onToken;
  useEffect(() => {
    if (!asked) return;
    const kept = sessionStorage.getItem(`link ${window.location.pathname}`) ?? "";
    setToken(kept);
    tell.current(kept);
  }, [asked]);
  return createElement("input", { type: "hidden", name: "token", value: token, readOnly: true });
}
"""


class _LinkToken(rx.Component):
    """A hidden field with the token, which is sent once `asked` counts up."""

    tag = "LinkToken"

    asked: rx.Var[int]
    on_token: rx.EventHandler[rx.event.passthrough_event_spec(str)]

    def add_imports(self) -> dict[str, list[str]]:
        """The hooks come from React."""
        return {"react": ["createElement", "useEffect", "useRef", "useState"]}

    def add_custom_code(self) -> list[str]:
        """The component stands beside the page's own."""
        return [_CODE]


def link_token(*, asked: rx.Var[int], on_token: Any) -> rx.Component:
    """Return the field, for the form that uses the link.

    Args:
        asked: counts how often the page's state has asked for the token.
        on_token: the handler that is told the token, empty without one.
    """
    return _LinkToken.create(asked=asked, on_token=on_token)
