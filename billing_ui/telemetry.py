"""Logs: one line an event, stamped with what is bound in structlog's context, and never a secret in it."""

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import uuid4

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_HIDDEN: Final = "***"

_SECRET_NAME: Final = re.compile(
    r"(?i)authorization|cookie|password|secret|token|ticket|api_?key|portal_url|checkout_url|signature"
)
"""A value under such a name is hidden whole."""

_SECRETS_IN_TEXT: Final = (
    # Our API tokens, providers' keys and the secrets of their webhooks; Lemon Squeezy's key is a JWT.
    (re.compile(r"\b(?:(?:bui|sk|rk|ek|whsec|pdl)_|polar_[a-z]+_)[A-Za-z0-9_+/=-]+"), _HIDDEN),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), _HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"), rf"\1 {_HIDDEN}"),
    (
        re.compile(r"(?i)\b((?:set-)?cookie|authorization)(\"?\s*[:=]\s*\"?)[^\r\n\"]+"),
        rf"\1\2{_HIDDEN}",
    ),
    (re.compile(r"(?i)\b((?:__Host-)?billing_session=)[^\s;,\"']+"), rf"\1{_HIDDEN}"),
    (
        re.compile(
            r"(?i)([?&;](?:ticket|(?:[a-z_]+_)?token|session|code|state|key|signature|_ptxn|cart|x-amz-(?:signature|credential|security-token))=)[^&\s\"'#]+"
        ),
        rf"\1{_HIDDEN}",
    ),
    # A route's template, with its name in braces, may stay.
    (re.compile(r"(/api/billing/departures/)[^\s?\"'#{]+"), rf"\1{_HIDDEN}"),
    # Hosted pages, of any provider: whoever has the address is let in.
    (re.compile(r"(/p/session/)[^\s?\"'#]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"(/c/pay/)[^\s?\"']+"), rf"\1{_HIDDEN}"),
    (
        re.compile(r"(//(?:[a-z0-9-]+\.)*(?:billing|checkout|buy|invoice)\.stripe\.com/)[^\s\"']+"),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"(//(?:(?:sandbox|buy)\.)?polar\.sh/)[^\s\"']+"), rf"\1{_HIDDEN}"),
    # A store's pages; the API's own addresses may stay.
    (
        re.compile(r"(//(?!api\.)[a-z0-9-]+\.lemonsqueezy\.com/)[^\s\"']+"),
        rf"\1{_HIDDEN}",
    ),
    (
        re.compile(
            r"(//(?:sandbox-)?(?:customer-portal|checkout|buy|pay)\.paddle\.(?:com|io)/)[^\s\"']+"
        ),
        rf"\1{_HIDDEN}",
    ),
    # Files of invoices, at the addresses that Polar and Paddle give, and at the sandbox's.
    (re.compile(r"(//(?:[a-z0-9-]+\.)*amazonaws\.com/)[^\s\"']+"), rf"\1{_HIDDEN}"),
    (re.compile(r"(//[^\s/]+/i/)[^\s?\"'#]+"), rf"\1{_HIDDEN}"),
    # A database or Redis URL with its password.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+@"), rf"\1{_HIDDEN}@"),
)

_MAY_HOLD_A_SECRET: Final = re.compile(
    r"(?i)[kcli]_|polar_|eyJ|\s|=|//|/(?:p/session|c/pay|departures)/|cookie|authorization"
)
"""A piece of whatever one of those looks for; most of what is logged has none, and is looked at once."""


_LEAST_LENGTH: Final = 8
"""What is shorter could be a word; hiding it wherever it stands would spoil what the log says."""

_hidden_values: set[str] = set()
_hidden_pattern: re.Pattern[str] | None = None


def hide(values: Iterable[str]) -> None:
    """Keep these very values out of every log line from now on, wherever they may stand in it.

    Secrets that an operator makes up, such as METRICS_TOKEN, have no shape to be known by.
    """
    global _hidden_pattern
    _hidden_values.update(value for value in values if len(value) >= _LEAST_LENGTH)
    # The longest first: of two that begin alike, nothing of the longer one may stay.
    longest_first = sorted(_hidden_values, key=len, reverse=True)
    _hidden_pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def redact(text: str) -> str:
    """Return `text` without secrets: keys, tokens, cookies, passwords, tickets and hosted pages' addresses."""
    if _hidden_pattern is not None:
        text = _hidden_pattern.sub(_HIDDEN, text)
    if not _MAY_HOLD_A_SECRET.search(text):
        return text
    for pattern, replacement in _SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def new_request_id() -> str:
    """Return an id for something that begins here: a request, or what somebody does on a page."""
    return uuid4().hex


def current_request_id() -> str | None:
    """Return the id that the running task's log lines carry, None outside a request."""
    identifier = structlog.contextvars.get_contextvars().get("request_id")
    return identifier if isinstance(identifier, str) else None


def configure_logging(*, json: bool | None = None, level: int = logging.INFO) -> None:
    """Send all logs of this process, ours and the libraries', through one chain to standard error.

    Args:
        json: JSON lines, or text for people; None chooses text for a terminal.
        level: the lowest level that is written, as in `logging`.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # As text, so that what stands in a traceback is redacted as well.
                structlog.processors.format_exc_info,
                _redact_event,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # They log whole URLs and bodies, or each of their steps, at levels nobody reads in production; the API
    # writes a line of its own for each request.
    for name in (
        "stripe",
        "urllib3",
        "httpx",
        "httpcore",
        "aiosqlite",
        "asyncio",
        "alembic",
        "uvicorn.access",
    ):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: _redact_value(name, value) for name, value in event.items()}


def _redact_value(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name):
        return _HIDDEN
    if isinstance(value, Mapping):
        return {str(key): _redact_value(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value("", inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))
