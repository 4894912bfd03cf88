"""How long a provider asks to wait, whatever it says."""

import pytest

from billing_ui.payments.unavailable import Fleeting, in_trouble, retry_after, too_busy


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("0", 0), ("7", 7), ("", None), ("-1", None), ("1.5", None), ("²", None), ("9" * 5000, None)],
)
def test_a_time_to_wait_is_a_whole_number_of_seconds(said: str, seconds: int | None) -> None:
    assert retry_after({"Retry-After": said}) == seconds
    assert retry_after({"retry-after": said}) == seconds


@pytest.mark.parametrize("headers", [None, {}])
def test_who_names_no_time_may_be_asked_again_at_once_unless_it_is_too_busy(
    headers: dict[str, str] | None,
) -> None:
    assert isinstance(in_trouble("Acme", headers), Fleeting)
    assert not isinstance(in_trouble("Acme", {"Retry-After": "1"}), Fleeting)
    assert not isinstance(too_busy("Acme", headers), Fleeting)
