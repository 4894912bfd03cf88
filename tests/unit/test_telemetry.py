"""Logs: structured, stamped with the request, and without secrets."""

import json
import logging

import pytest
import structlog

from billing_ui.telemetry import configure_logging, redact

pytestmark = pytest.mark.usefixtures("log_restored")

SECRETS = [
    ("key sk_test_51Abc_xyz refused", "51Abc"),
    ("whsec_abcdef012345", "abcdef"),
    ("whsec_YWJj/ZGVm+Z2hp=", "ZGVm"),
    ("polar_oat_abcdef012345", "abcdef"),
    ("pdl_ntfset_01abc_abcdef012345", "abcdef"),
    ("lemon eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl said no", "eyJhdWQi"),
    ("Authorization: Bearer abc.def.ghi", "abc.def"),
    ("authorization=Basic dXNlcjpwYXNz", "dXNl"),
    ("Cookie: billing_session=s3cr3tvalue; other=1", "s3cr3t"),
    ("got billing_session=s3cr3tvalue; Path=/", "s3cr3t"),
    ("__Host-billing_session=s3cr3tvalue", "s3cr3t"),
    ("GET /api/billing/departures/gAAAAABtick3t HTTP/1.1", "tick3t"),
    ("GET /depart?x=1&ticket=gAAAAABtick3t", "tick3t"),
    ("open http://127.0.0.1:8420/p/session/live_s3cr3t now", "s3cr3t"),
    ("https://billing.stripe.com/p/session/test_s3cr3t", "s3cr3t"),
    ("https://checkout.stripe.com/c/pay/cs_test_s3cr3t#fragment", "s3cr3t"),
    ("https://polar.sh/acme/portal?customer_session_token=s3cr3t", "s3cr3t"),
    ("https://acme.example/portal?customer_session_token=s3cr3t&x=1", "s3cr3t"),
    ("https://sandbox.polar.sh/checkout/polar_c_s3cr3t", "s3cr3t"),
    ("https://buy.polar.sh/s3cr3t", "s3cr3t"),
    ("https://acme.lemonsqueezy.com/billing?expires=1&user=2&signature=s3cr3t", "s3cr3t"),
    ("https://acme.lemonsqueezy.com/checkout/custom/s3cr3t", "s3cr3t"),
    ("https://acme.lemonsqueezy.com/subscription/1/payment-details?s3cr3t", "s3cr3t"),
    ("https://plans.acme.example/billing?expires=1&signature=s3cr3t", "s3cr3t"),
    ("https://customer-portal.paddle.com/cpl_s3cr3t?action=overview&token=pga_x", "s3cr3t"),
    ("https://sandbox-customer-portal.paddle.com/cpl_s3cr3t", "s3cr3t"),
    ("https://buy.paddle.com/checkout/s3cr3t", "s3cr3t"),
    ("https://acme.example/pay?_ptxn=txn_s3cr3t", "s3cr3t"),
    (
        "https://acme.s3.us-east-2.amazonaws.com/a/inv.pdf?X-Amz-Date=1&X-Amz-Signature=s3cr3t",
        "s3cr3t",
    ),
    ("https://acme-pdfs.s3.amazonaws.com/invoices/s3cr3t/invoice_325-10650.pdf", "s3cr3t"),
    ("https://files.acme.example/inv.pdf?X-Amz-Date=1&X-Amz-Credential=s3cr3t", "s3cr3t"),
    ("open http://127.0.0.1:8420/i/s3cr3t.signed/pdf now", "s3cr3t"),
    ("pdl_live_apikey_01abc_s3cr3t", "s3cr3t"),
    ("postgresql+asyncpg://user:s3cr3t@db.example.com/billing", "s3cr3t"),
    ("redis://:s3cr3t@localhost:6379/0", "s3cr3t"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_not_in_the_text(text: str, secret: str) -> None:
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "GET /settings/billing/return?visit=5e0c 303 http://localhost:3000/settings/billing",
        "GET https://api.lemonsqueezy.com/v1/customers/1 429",
        "GET https://api.polar.sh/v1/customers/1 500",
        "GET https://sandbox-api.paddle.com/customers/ctm_1 404",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_no_log_line_carries_a_secret(
    text: str, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(json=True)
    structlog.get_logger("ours").info("an event", detail=text, nested={"list": [text]})
    logging.getLogger("uvicorn.error").info('%s - "%s"', "127.0.0.1", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        logging.getLogger("ours").exception("it failed")
    out = capsys.readouterr().err
    assert len(out.splitlines()) == 3
    assert secret not in out


def test_values_under_a_secret_name_are_hidden_whole(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    structlog.get_logger("ours").info("x", headers={"Cookie": "a=b"}, password="p4ss", token="t0k")
    line = json.loads(capsys.readouterr().err)
    assert (line["headers"], line["password"], line["token"]) == ({"Cookie": "***"}, "***", "***")


def test_a_line_carries_what_is_bound_in_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("ours").warning("slow", seconds=2)
        logging.getLogger("theirs").warning("slow too")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["request_id"] for line in lines] == ["r-1", "r-1"]
    assert [line["level"] for line in lines] == ["warning", "warning"]
    assert lines[0]["seconds"] == 2


def test_people_get_text_with_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=False)
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logging.getLogger("ours").exception("it failed")
    out = capsys.readouterr().err
    assert "it failed" in out
    assert "RuntimeError: boom" in out
