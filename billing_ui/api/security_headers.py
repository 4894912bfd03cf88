"""What every answer tells browsers to refuse: scripts that are not ours, frames, guessed types, told addresses."""

import base64
import hashlib
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from billing_ui.settings import Settings

NO_DOCUMENT: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The policy of what is no page: shown as one, it may load nothing, post nothing and stand in no frame."""

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    # Queries hold ids of visits and one-time tokens, and stay among our own pages; the sign-in form reads
    # where to go from there. With no-referrer, browsers would also hide the origin of a form from us.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
    "Content-Security-Policy": NO_DOCUMENT,
}
# One year. Without subdomains, which may be other people's.
_HSTS: Final = {"Strict-Transport-Security": "max-age=31536000"}


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


# As ASGI wants them: they stand in every answer.
_ALWAYS: Final = _raw(_HEADERS)
_ALWAYS_AND_HSTS: Final = _raw(_HEADERS | _HSTS)


class SecurityHeaders:
    """Adds to every answer the headers above; one that the answer brings itself, such as a page's policy, stays."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        """Wrap `app`; `settings` is asked once a request, because they may not be known yet."""
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                own = {name for name, _ in given}
                headers = _ALWAYS_AND_HSTS if self.settings().secure else _ALWAYS
                message["headers"] = [*given, *(one for one in headers if one[0] not in own)]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def page_policy(html: str, settings: Settings) -> str:
    """Return the Content-Security-Policy under which the built page `html` runs, and nothing besides.

    Scripts are ours or stand in the page: no other text is ever run, neither inline nor by `eval`. Styles may be
    inline, because Radix's dialogs write one whose text depends on the width of the browser's scrollbar; what a
    style could do is bounded by everything else, for it can load nothing from elsewhere. A `style` attribute
    must have stood in the page; those that React sets are no attributes.
    """
    inline = _Inline(html)
    attributes = _hashes(inline.attributes)
    return _policy(
        default_src=["'none'"],
        script_src=["'self'", *_hashes(inline.texts["script"])],
        style_src=["'self'", "'unsafe-inline'"],
        style_src_attr=["'unsafe-hashes'", *attributes] if attributes else ["'none'"],
        img_src=["'self'", *_source(settings.app_logo)],
        font_src=["'self'"],
        # Not every browser counts a websocket as 'self'.
        connect_src=["'self'", settings.base_origin.replace("http", "ws", 1)],
        form_action=["'self'"],
        object_src=["'none'"],
        base_uri=["'none'"],
        frame_ancestors=["'none'"],
    )


def document_policy(html: str) -> str:
    """Return the policy of the document `html`, which has style sheets of its own and no scripts."""
    return _policy(
        default_src=["'none'"],
        style_src=_hashes(_Inline(html).texts["style"]),
        img_src=["'self'"],
        base_uri=["'none'"],
        form_action=["'none'"],
        frame_ancestors=["'none'"],
    )


def form_policy(html: str) -> str:
    """Return the policy of the document `html`, whose form is posted to us, by its own script if need be."""
    inline = _Inline(html)
    return _policy(
        default_src=["'none'"],
        script_src=_hashes(inline.texts["script"]),
        style_src=_hashes(inline.texts["style"]),
        img_src=["'self'"],
        base_uri=["'none'"],
        form_action=["'self'"],
        frame_ancestors=["'none'"],
    )


class _Inline(HTMLParser):
    """What stands in a page itself: its scripts and style sheets, and its style attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.attributes: list[str] = []
        self._within: list[str] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a style attribute, and where a script or style sheet begins."""
        given = dict(attrs)
        if style := given.get("style"):
            self.attributes.append(style)
        self._within = None if "src" in given else self.texts.get(tag)
        if self._within is not None:
            self._within.append("")

    def handle_data(self, data: str) -> None:
        """Note what stands in it, which may come in pieces."""
        if self._within is not None:
            self._within[-1] += data

    def handle_endtag(self, tag: str) -> None:
        """Note where it ends."""
        self._within = None


def _policy(**directives: Iterable[str]) -> str:
    return "; ".join(
        " ".join((name.replace("_", "-"), *sources)) for name, sources in directives.items()
    )


def _hashes(texts: Iterable[str]) -> list[str]:
    digests = (hashlib.sha256(text.encode()).digest() for text in dict.fromkeys(texts))
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def _source(address: str) -> list[str]:
    """Return from where an image at `address` is loaded, when that is not our own origin."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return ["data:"]
    return [f"{parts.scheme or 'https'}://{parts.netloc}"] if parts.netloc else []
