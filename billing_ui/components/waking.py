"""Noticing that somebody is back at a page that was out of sight, asleep or without a network."""

from typing import Any

import reflex as rx

# A websocket that died meanwhile may look alive for some seconds. What is sent on it makes the browser
# notice at once if it has heard nothing for too long; it then connects anew, and the page opens again.
_CODE = """
function Waking({ onWake }) {
  const wake = useRef(onWake);
  wake.current = onWake;
  useEffect(() => {
    let left = Date.now();
    let beat = left;
    const tell = () => wake.current();
    const look = () => {
      if (document.hidden) left = Date.now();
      else if (Date.now() - left > 10000) tell();
    };
    const heart = setInterval(() => {
      // Timers stand still while the computer sleeps.
      if (!document.hidden && Date.now() - beat > 20000) tell();
      beat = Date.now();
    }, 5000);
    document.addEventListener("visibilitychange", look);
    window.addEventListener("online", tell);
    return () => {
      clearInterval(heart);
      document.removeEventListener("visibilitychange", look);
      window.removeEventListener("online", tell);
    };
  }, []);
  return null;
}
"""


class _Waking(rx.Component):
    """Shows nothing; calls `on_wake` when the page may have missed something."""

    tag = "Waking"

    on_wake: rx.EventHandler[rx.event.no_args_event_spec]

    def add_imports(self) -> dict[str, list[str]]:
        """The hooks come from React."""
        return {"react": ["useEffect", "useRef"]}

    def add_custom_code(self) -> list[str]:
        """The component stands beside the page's own."""
        return [_CODE]


def waking(on_wake: Any) -> rx.Component:
    """Return what calls `on_wake` when somebody looks at the page again, or the network is back."""
    return _Waking.create(on_wake=on_wake)
