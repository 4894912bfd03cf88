"""Where people may be sent back to: every trick that once led somewhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_ui.billing.return_urls import absolute_url, allowed_return_url
from billing_ui.payments.types import InvalidReturnUrl
from billing_ui.settings import origin_of
from tests.unit.billing.conftest import make_settings

SETTINGS = make_settings()

GOOD = [
    "/",
    "/settings/billing",
    "/settings/billing?tab=invoices&page=2#top",
    "/a%20b/%C3%A9t%C3%A9",
    "/100%25",
    "http://localhost:3000",
    "http://localhost:3000/settings/billing",
    "HTTP://LOCALHOST:3000/settings",
    "https://app.example.com/back?to=https://elsewhere.example/x",
    "https://app.example.com:443/back",
    "https://app.example.com/back#//fragment",
]

EVIL = [
    "",
    " ",
    "settings/billing",
    "?next=/x",
    "#top",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/x//evil.example",
    "/x?next=//evil.example",
    "/%2fevil.example",
    "/%2Fevil.example",
    "%2f%2fevil.example",
    "/%2f%2fevil.example",
    "/%5cevil.example",
    "/%5Cevil.example",
    "/%252fevil.example",
    "/%25252fevil.example",
    "/%255cevil.example",
    "/%2525252525252fevil.example",
    "/%c0%afevil.example",
    "/%ef%bc%8fevil.example",
    "/／evil.example",
    "/＼evil.example",
    "/\u2028evil",
    "/%e2%80%a8evil",
    "/%e2%80%aeevil",
    "/%c2%85evil",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\nLocation: https://evil.example",
    "/%0d%0aLocation:%20https://evil.example",
    "/%09/evil.example",
    "/%00",
    "/\x00",
    "/\x7f",
    "/%7f",
    "\t//evil.example",
    " /settings",
    " https://app.example.com/",
    "https://app.example.com/ ",
    "/settings billing",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "javascript://localhost:3000/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://app.example.com/",
    "blob:https://app.example.com/x",
    "https://evil.example",
    "https://evil.example/https://app.example.com",
    "https://evil.example?https://app.example.com",
    "https://evil.example#https://app.example.com",
    "http://app.example.com/",
    "https://app.example.com:8443/",
    "https://app.example.com.evil.example/",
    "https://evilapp.example.com/",
    "https://app.example.com@evil.example/",
    "https://app.example.com:pass@evil.example/",
    "https://user@app.example.com/",
    "https://user:pass@app.example.com/",
    "https://@app.example.com/",
    "https://app.example.com%40evil.example/",
    "https://app.example.com%2f@evil.example/",
    "https://app.example.com\\@evil.example/",
    "https://evil.example\\.app.example.com/",
    "https://app.example.com%5c@evil.example/",
    "https://app.example.com/%5c",
    "https://app.example.com/x?y=%5c",
    "https://app.example.com//evil.example",
    "https://app.example.com/%2f%2fevil.example",
    "https://app.example.com/%0d%0aSet-Cookie:x=1",
    "https://app.example.com\t.evil.example/",
    "https://app.example.com\n/",
    "https:app.example.com",
    "https:/app.example.com",
    "https:///app.example.com",
    "https://",
    "http://[::1",
    "http://localhost:99999/",
    "http://localhost:port/",
    "http://localhost:３０００/",
    "https://app。example。com/",
    "https://ａpp.example.com/",
    "https://\u212a.example/",
    "/" + "a" * 2048,
]


@pytest.mark.parametrize("value", GOOD)
def test_a_path_or_an_allowed_origin_is_returned_unchanged(value: str) -> None:
    assert allowed_return_url(SETTINGS, value) == value


@pytest.mark.parametrize("value", EVIL)
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(InvalidReturnUrl):
        allowed_return_url(SETTINGS, value)


def test_no_return_url_is_none() -> None:
    assert allowed_return_url(SETTINGS, None) is None


def test_a_path_becomes_absolute_on_the_base_url() -> None:
    assert absolute_url(SETTINGS, "/pricing") == "http://localhost:3000/pricing"
    assert absolute_url(SETTINGS, "https://app.example.com/x") == "https://app.example.com/x"


@given(st.text(alphabet="/\\%2f5c0a.@:?#ehtps localhost3\t", max_size=40))
def test_whatever_passes_is_a_path_of_ours_or_on_an_allowed_origin(text: str) -> None:
    try:
        allowed_return_url(SETTINGS, text)
    except InvalidReturnUrl:
        return
    if text.startswith("/"):
        assert text[1:2] not in ("/", "\\")
    else:
        assert origin_of(text) in ("http://localhost:3000", "https://app.example.com")
