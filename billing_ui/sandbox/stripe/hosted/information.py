"""The portal's billing information: name, e-mail, phone, address and tax ID of a customer."""

from starlette.responses import Response

from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.portal import (
    information_form,
    information_lines,
    known_information,
    read_information,
)
from billing_ui.sandbox.stripe.hosted.sessions import Visit

# The kinds of tax ID offered; the API knows many more, and one of those is shown by its code.
_TAX_TYPES = {
    "eu_vat": "EU VAT",
    "gb_vat": "United Kingdom VAT",
    "us_ein": "United States EIN",
    "au_abn": "Australia ABN",
    "ca_bn": "Canada BN",
    "ch_vat": "Switzerland VAT",
    "in_gst": "India GST",
    "jp_trn": "Japan registration number",
    "no_vat": "Norway VAT",
    "nz_gst": "New Zealand GST",
}


def lines(visit: Visit) -> list[tuple[str, str]] | None:
    """Return (name, value) of what the customer may update; None when that is nothing."""
    if not visit.enabled("customer_update"):
        return None
    allowed = _allowed(visit)
    known = information_lines(visit.reader.customer(), allowed, visit.formats)
    if "tax_id" in allowed:
        known.append(("Tax ID", ", ".join(one["value"] for one in visit.reader.tax_ids())))
    return known


def edit(visit: Visit, form: Form) -> Response:
    """Show the form with what is known."""
    visit.feature("customer_update")
    known = known_information(visit.reader.customer())
    tax_id = next(iter(visit.reader.tax_ids()), None)
    if tax_id:
        known |= {"tax_type": tax_id["type"], "tax_id": tax_id["value"]}
    return _form(visit, known)


def save(visit: Visit, form: Form) -> Response:
    """Save what the customer may change; everything else that was sent is ignored."""
    visit.feature("customer_update")
    allowed = _allowed(visit)
    typed = read_information(form, allowed, visit.formats)
    if "tax_id" in allowed:
        _check_tax_id(form)
    if form.problems:
        return _form(visit, form, status=422)
    with visit.account.store.transaction():
        if "tax_id" in allowed:
            _replace_tax_id(visit, form)
        # Not by an API call: there, a name or a phone number can be changed but never emptied.
        before = visit.account.get("customer", visit.reader.customer_id)
        after = {**before, **{name: typed[name] for name in typed if name in allowed}}
        visit.account.save(before, after, "customer.updated")
    return visit.completed("customer_update", "information-saved")


def _allowed(visit: Visit) -> set[str]:
    return set(visit.feature("customer_update")["allowed_updates"])


def _form(visit: Visit, form: Form, status: int = 200) -> Response:
    kinds = dict(_TAX_TYPES)
    if form.get("tax_type"):
        kinds.setdefault(form["tax_type"], form["tax_type"])
    return information_form(visit, form, _allowed(visit), kinds.items(), status)


def _check_tax_id(form: Form) -> None:
    kind, value = form.get("tax_type", ""), form.get("tax_id", "").strip()
    if value and not kind:
        form.problems["tax_type"] = "Choose what kind of tax ID it is."
    if kind and not value:
        form.problems["tax_id"] = "Enter the tax ID, or choose “No tax ID”."


def _replace_tax_id(visit: Visit, form: Form) -> None:
    """Make the form's tax ID the customer's, in place of the first one shown."""
    kind, value = form.get("tax_type", ""), form.get("tax_id", "").strip()
    path = f"/v1/customers/{visit.reader.customer_id}/tax_ids"
    old = next(iter(visit.reader.tax_ids()), None)
    if old and (old["type"], old["value"]) == (kind, value):
        return
    if kind:
        visit.call("post", path, {"type": kind, "value": value})
    if old:
        visit.call("delete", f"{path}/{old['id']}")
