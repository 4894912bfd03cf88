"""One page that shows one text from its state, set when the page is opened."""

import reflex as rx


class State(rx.State):
    """What the page shows."""

    said: str = ""

    @rx.event
    async def look(self) -> None:
        """Fill it."""
        self.said = "Here it is"


app = rx.App()
app.add_page(rx.box(rx.text(State.said, id="data")), route="/", on_load=State.look)
