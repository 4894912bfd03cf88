"""A button that copies what stands in a field, and says so."""

import reflex as rx

from billing_ui.components.icons import icon

# The clipboard is open to pages of https and of this machine only, and a browser may refuse it besides: what is
# to be copied is then at least selected.
_CODE = """
function CopyButton({ source, label, className, children }) {
  const [said, say] = useState("");
  const copy = async () => {
    const field = document.getElementById(source);
    if (!field) return;
    say("");
    try {
      await navigator.clipboard.writeText(field.value);
      say("Copied");
    } catch {
      field.focus();
      field.select();
      say("Selected. Copy it with your keyboard.");
    }
  };
  return createElement(
    "div",
    { className: "copier" },
    createElement("button", { type: "button", className, onClick: copy }, children, label),
    createElement("span", { role: "status", className: "small" }, said),
  );
}
"""


class _CopyButton(rx.Component):
    """Copies the value of the field with the id `source`."""

    tag = "CopyButton"

    source: rx.Var[str]
    label: rx.Var[str]

    def add_imports(self) -> dict[str, list[str]]:
        """What it is made with comes from React."""
        return {"react": ["createElement", "useState"]}

    def add_custom_code(self) -> list[str]:
        """The component stands beside the page's own."""
        return [_CODE]


def copy_button(source: str, label: str = "Copy") -> rx.Component:
    """Return the button.

    Args:
        source: the id of the input whose value is copied.
        label: its name.
    """
    return _CopyButton.create(icon("copy"), source=source, label=label, class_name="btn outline")
