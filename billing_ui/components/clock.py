"""A clock on the page, for texts that say how long ago something was."""

from typing import Any

import reflex as rx

_CODE = """
function Clock({ runs, onMinute }) {
  const tell = useRef(onMinute);
  tell.current = onMinute;
  useEffect(() => {
    if (!runs) return;
    let told = Date.now();
    const look = () => {
      // A page nobody looks at stays as it is until somebody does.
      if (document.hidden || Date.now() - told < 59000) return;
      told = Date.now();
      tell.current();
    };
    const minutes = setInterval(look, 60000);
    document.addEventListener("visibilitychange", look);
    return () => { clearInterval(minutes); document.removeEventListener("visibilitychange", look); };
  }, [runs]);
  return null;
}
"""


class _Clock(rx.Component):
    """Shows nothing; calls `on_minute` once a minute while it runs and somebody looks at the page."""

    tag = "Clock"

    runs: rx.Var[bool]
    on_minute: rx.EventHandler[rx.event.no_args_event_spec]

    def add_imports(self) -> dict[str, list[str]]:
        """The hooks come from React."""
        return {"react": ["useEffect", "useRef"]}

    def add_custom_code(self) -> list[str]:
        """The component stands beside the page's own."""
        return [_CODE]


def clock(*, runs: rx.Var[bool], on_minute: Any) -> rx.Component:
    """Return a clock.

    Args:
        runs: whether there is anything on the page that time makes untrue.
        on_minute: what to do every minute, and when the page is looked at again.
    """
    return _Clock.create(runs=runs, on_minute=on_minute)
