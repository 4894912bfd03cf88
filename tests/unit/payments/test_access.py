"""With which key a provider is asked, where, and how often."""

import pytest

from billing_ui.payments.access import access_to, background_rate
from billing_ui.payments.types import ProviderRejected
from billing_ui.settings import KEY_SETTINGS, Provider
from tests.unit.payments.requests import make_settings


@pytest.mark.parametrize("provider", Provider)
def test_without_a_key_it_is_the_sandbox_that_is_asked(provider: Provider) -> None:
    settings = make_settings(payment_provider=provider, sandbox_port=8421)
    key, base = access_to(provider, "Acme", settings)
    assert key
    assert base == "http://127.0.0.1:8421"


@pytest.mark.parametrize("provider", Provider)
def test_a_sandbox_that_imitates_another_provider_is_not_asked(provider: Provider) -> None:
    other = next(one for one in Provider if one is not provider)
    with pytest.raises(ProviderRejected, match=KEY_SETTINGS[provider]):
        access_to(provider, "Acme", make_settings(payment_provider=other))


@pytest.mark.parametrize("provider", Provider)
def test_another_providers_key_is_none_of_its_own(provider: Provider) -> None:
    other = next(one for one in Provider if one is not provider)
    settings = make_settings(**{KEY_SETTINGS[other].lower(): "key"})
    with pytest.raises(
        ProviderRejected, match=f"Acme has no API key. Set {KEY_SETTINGS[provider]}"
    ):
        access_to(provider, "Acme", settings)


@pytest.mark.parametrize("provider", Provider)
def test_a_key_goes_to_the_address_that_is_set(provider: Provider) -> None:
    values = {KEY_SETTINGS[provider].lower(): "key", f"{provider}_api_base": "https://p.test/"}
    assert access_to(provider, "Acme", make_settings(**values)) == ("key", "https://p.test")


@pytest.mark.parametrize(
    ("base", "rate"),
    [("https://api.test", 3), ("http://127.0.0.1:1", None), ("http://[::1]", None)],
)
def test_only_a_provider_elsewhere_is_spared(base: str, rate: float | None) -> None:
    assert background_rate(base, 3) == rate
