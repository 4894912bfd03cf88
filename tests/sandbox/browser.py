"""A browser of a hundred lines: follows links, fills forms by their labels, keeps cookies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


@dataclass
class Element:
    """One HTML element."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> list[Element]:
        """Return this element and all below it, in document order."""
        below = [
            one for child in self.children if isinstance(child, Element) for one in child.walk()
        ]
        return [self, *below]

    @property
    def text(self) -> str:
        """The text below, blanks collapsed."""
        parts = [child.text if isinstance(child, Element) else child for child in self.children]
        return re.sub(r"\s+", " ", " ".join(parts)).strip()


_VOID = {"input", "meta", "link", "br", "img", "rect", "path", "circle"}


class _Parser(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = self.at = Element("document", {})
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(element)
        if tag not in _VOID:
            self.at = element

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
            assert self.at.parent
            self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


class Page:
    """One answer, read as a page."""

    def __init__(self, browser: Browser, response: httpx.Response) -> None:
        self.browser = browser
        self.response = response
        self.status = response.status_code
        self.url = str(response.url)
        self.document = _Parser(response.text).root

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements with a tag and these attributes."""
        wanted = attributes.items()
        return [
            one
            for one in self.document.walk()
            if one.tag == tag and all(one.attributes.get(name) == value for name, value in wanted)
        ]

    def role(self, role: str) -> str:
        """Return the text of the only element with an explicit role."""
        (found,) = [one for one in self.document.walk() if one.attributes.get("role") == role]
        return found.text

    @property
    def heading(self) -> str:
        """The text of the page's h1."""
        (heading,) = self.all("h1")
        return heading.text

    @property
    def text(self) -> str:
        """What the page's main part says."""
        (main,) = self.all("main")
        return main.text

    @property
    def buttons(self) -> list[str]:
        """The names of all buttons."""
        return [button.text for button in self.all("button")]

    @property
    def fields(self) -> dict[str, Element]:
        """The fields by the text of their labels."""
        found = {}
        by_id = {
            one.attributes["id"]: one for one in self.document.walk() if "id" in one.attributes
        }
        for label in self.all("label"):
            inner = [one for one in label.walk() if one.tag in {"input", "textarea", "select"}]
            control = inner[0] if inner else by_id[label.attributes["for"]]
            name = (
                by_id[control.attributes["aria-labelledby"]]
                if "aria-labelledby" in control.attributes
                else label
            )
            found[name.text.removesuffix(" Optional")] = control
        return found

    def link(self, text: str) -> str:
        """Return where a link leads."""
        return next(one.attributes["href"] for one in self.all("a") if one.text == text)

    def form(self, button: str, number: int = 0) -> tuple[str, str, dict[str, str]]:
        """Return method, URL and values as they stand of the form with this button."""
        pressed = [one for one in self.all("button") if one.text == button][number]
        form = pressed
        while form.tag != "form":
            assert form.parent, f"{button} is in no form"
            form = form.parent
        values = {}
        for one in form.walk():
            name, kind = one.attributes.get("name"), one.attributes.get("type")
            if not name or (kind == "radio" and "checked" not in one.attributes):
                continue
            if one.tag == "input":
                values[name] = one.attributes.get("value", "")
            elif one.tag == "textarea":
                values[name] = one.text
            elif one.tag == "select":
                chosen = [child for child in one.walk() if "selected" in child.attributes]
                values[name] = chosen[0].attributes["value"] if chosen else ""
        method = form.attributes.get("method", "get")
        return method, urljoin(self.url, form.attributes["action"]), values

    def press(self, button: str, filled: dict[str, str] | None = None, number: int = 0) -> Page:
        """Fill fields by label, press a button, and return the page that comes.

        Args:
            button: the button's name.
            filled: label -> text; a radio is chosen by giving its label with any text.
            number: which of several buttons of that name.
        """
        method, url, values = self.form(button, number)
        for label, text in (filled or {}).items():
            control = self.fields[label]
            radio = control.attributes.get("type") == "radio"
            values[control.attributes["name"]] = control.attributes["value"] if radio else text
        return self.browser.send(method, url, values)


class Browser:
    """Keeps cookies; redirects to other hosts are not followed but noted."""

    def __init__(self, **headers: str) -> None:
        self.client = httpx.Client(headers=headers, trust_env=False)
        self.left_for: str | None = None

    def open(self, url: str) -> Page:
        """Open a URL."""
        return self.send("get", url, None)

    def send(self, method: str, url: str, values: dict[str, str] | None) -> Page:
        """Send a form and follow redirects within the same origin."""
        response = (
            self.client.get(url, params=values)
            if method == "get"
            else self.client.post(url, data=values)
        )
        while response.next_request:
            following = response.next_request
            if following.url.netloc != response.url.netloc:
                self.left_for = str(following.url)
                break
            response = self.client.send(following)
        return Page(self, response)
