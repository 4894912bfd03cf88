"""Show forms and read them again: their fields, their anti-forgery token, and a typed-in card."""

import hashlib
import hmac
import re
import secrets
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from billing_ui.sandbox.hosted.pages import show

MAX_BODY = 64 * 1024
MAX_FIELDS = 50
_KEY_COOKIE = "form_key"


class Form(dict[str, str]):
    """What was typed into a form, and by field name what is wrong with it."""

    def __init__(self, values: dict[str, str] | None = None) -> None:
        super().__init__(values or {})
        self.problems: dict[str, str] = {}

    def require(self, name: str, problem: str) -> str:
        """Return a field without surrounding blanks; note `problem` when nothing is left."""
        value = self.get(name, "").strip()
        if not value:
            self.problems[name] = problem
        return value


class FormRefused(Exception):
    """The form is too large, or was not made by the page it claims to come from."""


async def read_form(request: Request, secret: str) -> Form:
    """Return a posted form after checking that its token was made from `secret`.

    Raises:
        FormRefused: the token is missing or wrong, or the body too large.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise FormRefused
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise FormRefused from error
    # A NUL can't be stored by every database that later copies these values.
    form = Form({name: value.replace("\0", "") for name, value in pairs})
    if not hmac.compare_digest(form.pop("token", "").encode(), form_token(secret).encode()):
        raise FormRefused
    return form


def form_token(secret: str) -> str:
    """Return the anti-forgery token for the holder of a cookie with this value."""
    return hashlib.sha256(b"form:" + secret.encode()).hexdigest()


async def read_page_form(request: Request) -> Form:
    """Return a form posted from a page without a session; see `read_form`."""
    return await read_form(request, _page_secret(request, _form_key(request)))


def show_form(
    template: str, request: Request, form: Form, *, problem: str, **context: Any
) -> Response:
    """Return a page without a session that has a form; the browser keeps its key for it.

    Args:
        template: The page's template.
        request: What asked for the page; its form is posted to the same path.
        form: What stands in the form.
        problem: What is wrong with the form as a whole; "" when nothing is.
        context: See `show`.
    """
    key = _form_key(request)
    page = show(
        template,
        action=request.url.path,
        problem=problem,
        problems=bool(problem or form.problems),
        form=form,
        form_token=form_token(_page_secret(request, key)),
        **context,
    )
    page.set_cookie(
        _KEY_COOKIE, key, httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )
    return page


def _form_key(request: Request) -> str:
    """Return the browser's key for forms on pages that have no session; a new one at first."""
    return request.cookies.get(_KEY_COOKIE) or secrets.token_urlsafe(32)


def _page_secret(request: Request, key: str) -> str:
    """Return what the token of a page without a session is made from: the browser's key and the page."""
    return f"{key}:{request.url.path}"


def read_card(form: Form) -> dict[str, Any]:
    """Return the card of a form: `number`, `exp_month`, `exp_year` and `cvc`.

    Only what cannot be sent at all is judged here; whether the card is any good is for the API to
    say. Check `form.problems` before using the answer.
    """
    number = re.sub(r"[\s-]", "", form.require("number", "Enter the card number."))
    expiry = form.require("expiry", "Enter the expiry date.")
    cvc = form.require("cvc", "Enter the security code.")
    if number and not number.isascii():
        form.problems["number"] = "The card number may hold digits only."
    if cvc and not re.fullmatch(r"[0-9]{3,4}", cvc):
        form.problems["cvc"] = "The security code has 3 or 4 digits."
    month, year = _month_and_year(expiry)
    if expiry and not 1 <= month <= 12:
        form.problems["expiry"] = "Write the expiry date as MM / YY."
    return {"number": number, "exp_month": month, "exp_year": year, "cvc": cvc}


def check_email(form: Form) -> str:
    """Return the form's e-mail address; note a problem when it is none."""
    email = form.require("email", "Enter an e-mail address.")
    if email and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", email):
        form.problems["email"] = "Write the e-mail address like name@example.com."
    return email


def note_card_problem(form: Form, code: str, message: str) -> None:
    """Put what is wrong with a card, by its code, beside the field it is about."""
    if "expiry" in code or code == "expired_card":
        name = "expiry"
    elif "cvc" in code:
        name = "cvc"
    else:
        name = "number"
    form.problems[name] = message


def without_cvc(form: Form) -> Form:
    """Return what may be shown again: a security code is never sent back to the page."""
    shown = Form({name: value for name, value in form.items() if name != "cvc"})
    shown.problems = form.problems
    return shown


def _month_and_year(expiry: str) -> tuple[int, int]:
    """Return (month, four-digit year) of "01 / 27", "1/2027" or "0127"; (0, 0) if it is none."""
    found = re.fullmatch(r"([0-9]{1,2})\s*[/.-]\s*([0-9]{2}|[0-9]{4})", expiry) or re.fullmatch(
        r"([0-9]{2})([0-9]{2}|[0-9]{4})", expiry
    )
    if not found:
        return 0, 0
    month, year = int(found[1]), int(found[2])
    return month, year if year > 99 else 2000 + year
