"""What our driver asks of Polar is valid against Polar's own description, and the check would tell if it was not."""

import pytest

from tests.drivers.polar_description import DESCRIPTION, Asked, complaint

pytestmark = pytest.mark.skipif(
    not DESCRIPTION.exists(),
    reason="Polar's description is not here; POLAR_OPENAPI says where it is",
)

SIGNED_IN = {"authorization": "Bearer polar_oat_1", "content-type": "application/json"}
SOMEBODY = b'{"customer_id": "d8dd2de1-21b7-4a41-8bc3-ce909c0cfe23"}'


@pytest.mark.parametrize(
    "asked",
    [
        Asked("POST", "/v1/customer-sessions/", (), SIGNED_IN, SOMEBODY),
        Asked("GET", "/v1/customers/", (("limit", "100"), ("page", "2")), SIGNED_IN, b""),
        Asked("GET", "/v1/customers/external/team-1", (), SIGNED_IN, b""),
    ],
)
def test_a_request_as_polar_describes_it_is_fine(asked: Asked) -> None:
    assert complaint(asked) == ""


@pytest.mark.parametrize(
    "asked",
    [
        Asked("POST", "/v1/customer-sessions/", (), SIGNED_IN, SOMEBODY.replace(b"_id", b"_ix")),
        Asked("POST", "/v1/customer-sessions/", (), SIGNED_IN, b"{"),
        Asked("POST", "/v1/customer-sessions", (), SIGNED_IN, SOMEBODY),
        Asked("GET", "/v1/customers/", (("page", "x"),), SIGNED_IN, b""),
        Asked("GET", "/v1/customers/", (("pages", "2"),), SIGNED_IN, b""),
        Asked("GET", "/v1/customers/no-uuid", (), SIGNED_IN, b""),
        Asked("PUT", "/v1/customers/", (), SIGNED_IN, b"{}"),
    ],
    ids=["field", "JSON", "path", "value", "parameter", "id", "method"],
)
def test_a_request_that_polar_does_not_describe_is_complained_of(asked: Asked) -> None:
    assert complaint(asked).startswith(f"{asked.method} {asked.path}: ")
