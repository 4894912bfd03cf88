"""The built pages: addresses without a trailing slash, assets cached for good."""

from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The build puts a hash of the content into these names, so what a name holds never changes.
_IMMUTABLE = "/assets/"
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


def clean_addresses(app: ASGIApp, build: Path) -> ASGIApp:
    """Wrap Reflex's `app` so that each page of `build` answers 200 at its own address.

    By itself it answers `/settings/billing` with a redirect to `/settings/billing/`, absolute and in
    plain http even behind TLS. Here the page itself answers, and a trailing slash is redirected
    away by a relative address.

    Args:
        app: what serves the files of `build`, by their file names.
        build: directory of the built pages.
    """
    pages = {
        "/" + file.relative_to(build).with_suffix("").as_posix()
        for file in build.rglob("*.html")
        if file.name not in ("404.html", "index.html") and not file.name.startswith("__")
    }

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        path: str = scope["path"]
        if path in pages:
            file = f"{path}.html"
            scope = {**scope, "path": file, "raw_path": file.encode()}
        elif path != "/" and path.rstrip("/") in pages:
            query = scope["query_string"].decode("latin-1")
            target = path.rstrip("/") + (f"?{query}" if query else "")
            await RedirectResponse(target, 308)(scope, receive, send)
            return
        await app(scope, receive, _with_cache_control(path, send))

    return serve


def _with_cache_control(path: str, send: Send) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in (200, 304):
            headers = MutableHeaders(scope=message)
            headers["Cache-Control"] = _FOR_GOOD if path.startswith(_IMMUTABLE) else _ASK_AGAIN
        await send(message)

    return send_with_header
