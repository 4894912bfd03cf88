"""Currencies: which there are, how many digits they have, how an amount is written."""

from billing_ui.sandbox.stripe.errors import StripeError

_CODES = """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd
    cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq
    gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd
    lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk
    php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top
    try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw
"""
_WHOLE = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_THOUSANDTHS = "bhd jod kwd omr tnd"

SUPPORTED = frozenset(_CODES.split())
_DIGITS = dict.fromkeys(_WHOLE.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3)

SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def read(name: str, param: str) -> str:
    """Return a currency's code in lower case.

    Args:
        name: As sent.
        param: The parameter it was sent in.

    Raises:
        StripeError: There is no such currency.
    """
    code = name.lower()
    if code not in SUPPORTED:
        raise StripeError(
            f"Invalid currency: {code}. Stripe currently supports these currencies: "
            + ", ".join(sorted(SUPPORTED)),
            param=param,
        )
    return code


def digits(currency: str) -> int:
    """Return how many digits after the point an amount on the wire has (https://docs.stripe.com/currencies).

    Not how many are shown: Stripe counts Icelandic krónur and Ugandan shillings in hundredths, and nobody
    there writes them.
    """
    return _DIGITS.get(currency.lower(), 2)


def money(amount: int, currency: str) -> str:
    """Return an amount in minor units as Stripe writes it in an invoice line."""
    places = digits(currency)
    number = f"{abs(amount) / 10**places:,.{places}f}"
    sign = "-" if amount < 0 else ""
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{number} {currency.upper()}"
