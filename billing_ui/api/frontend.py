"""The built pages: addresses without a trailing slash, what each may run, assets cached for good."""

from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from billing_ui.api.security_headers import NO_DOCUMENT, page_policy
from billing_ui.settings import Settings

# The build puts a hash of the content into these names, so what a name holds never changes.
_IMMUTABLE = "/assets/"
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_NOT_FOUND = 404


def clean_addresses(app: ASGIApp, build: Path, settings: Settings) -> ASGIApp:
    """Wrap Reflex's `app` so that each page of `build` answers 200 at its own address.

    By itself it answers `/settings/billing` with a redirect to `/settings/billing/`, absolute and in
    plain http even behind TLS. Here the page itself answers, and a trailing slash is redirected
    away by a relative address. Each page is answered with the policy of the scripts that stand in it.

    Args:
        app: what serves the files of `build`, by their file names.
        build: directory of the built pages.
        settings: where the pages may connect to.
    """
    files = {
        "/" + file.relative_to(build).with_suffix("").as_posix(): file
        for file in build.rglob("*.html")
    }
    policies = {
        path: page_policy(file.read_text("utf-8"), settings) for path, file in files.items()
    }
    pages = {
        path
        for path, file in files.items()
        if file.name not in ("404.html", "index.html") and not file.name.startswith("__")
    }
    policies["/"] = policies.get("/index", NO_DOCUMENT)
    not_found = policies.get("/404", NO_DOCUMENT)

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
        await app(scope, receive, send_as(path, send))

    def send_as(path: str, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if message["status"] in (200, 304):
                    headers["Cache-Control"] = (
                        _FOR_GOOD if path.startswith(_IMMUTABLE) else _ASK_AGAIN
                    )
                policy = not_found if message["status"] == _NOT_FOUND else policies.get(path)
                if policy is not None:
                    headers["Content-Security-Policy"] = policy
            await send(message)

        return send_with_headers

    return serve
