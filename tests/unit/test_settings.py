"""Settings: what is refused and how that is said, what follows from what, and what they keep to themselves."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from billing_ui.settings import (
    KEY_SETTINGS,
    OidcProvider,
    Provider,
    Settings,
    get_settings,
    load_settings,
    origin_of,
)

REPOSITORY = Path(__file__).parents[2]
LIVE = SecretStr("sk_live_hunter2")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever whoever runs the tests has set for an installation of their own."""
    for name in [*map(str.upper, Settings.model_fields), *os.environ]:
        if name.lower() in Settings.model_fields or name.startswith("OIDC_"):
            monkeypatch.delenv(name, raising=False)


def make(**fields: Any) -> Settings:
    """Return settings of exactly `fields`."""
    return Settings(_env_file=None, **fields)


# ---------------------------------------------------------------- secrets


def test_the_text_of_settings_holds_no_secret() -> None:
    settings = make(
        database_url="postgresql://billing:hunter2@db.example.com/billing",
        redis_url=SecretStr("redis://:hunter2@cache.example.com"),
        secret_key=SecretStr("hunter2"),
        stripe_secret_key=SecretStr("sk_test_hunter2"),
        stripe_webhook_secret=SecretStr("whsec_hunter2"),
    )
    assert "hunter2" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://billing:hunter2@db.example.com/billing"),
        ("DATABASE_URL", "hunter2"),
        ("BASE_URL", "https://ada:hunter2@billing.example.com"),
        ("BASE_URL", "https//ada:hunter2@billing.example.com"),
        ("BASE_URL", "https://ada:hunter2"),
        ("ALLOWED_RETURN_ORIGINS", "https://app.example.com, https://ada:hunter2@example.com"),
        ("STRIPE_API_BASE", "ftp://hunter2.example"),
        ("PORT", "hunter2"),
        ("SANDBOX_PORT", "0"),
        ("TIME_ZONE", "Mars/hunter2"),
        ("PAYMENT_PROVIDER", "hunter2"),
        ("POLAR_API_BASE", "ftp://hunter2.example"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_a_line_that_names_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    with pytest.raises(SystemExit) as ended:
        load_settings()
    first, *others = str(ended.value).splitlines()
    assert first == "The settings are not right:"
    assert [line.partition(":")[0] for line in others] == [name]
    assert "hunter2" not in str(ended.value)


def test_processes_that_start_together_agree_on_one_key_that_others_cannot_read(
    tmp_path: Path,
) -> None:
    def key(_: int) -> bytes:
        return make(database_url=f"sqlite:///{tmp_path}/data/billing.db").signing_key

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(key, range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) >= 48
    (file,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_that_is_set_is_the_one_used(tmp_path: Path) -> None:
    settings = make(
        secret_key=SecretStr("hunter2"), database_url=f"sqlite:///{tmp_path}/data/billing.db"
    )
    assert settings.signing_key == b"hunter2"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("stripe_secret_key", "sk_live_1"),
        ("stripe_secret_key", "rk_live_1"),
        ("paddle_api_key", "pdl_live_apikey_1"),
    ],
)
def test_a_live_key_needs_a_secret_key_of_its_own(setting: str, key: str) -> None:
    with pytest.raises(ValidationError, match="SECRET_KEY is required"):
        make(**{setting: SecretStr(key)})
    assert make(**{setting: SecretStr(key)}, secret_key=SecretStr("x")).live


# ---------------------------------------------------------------- providers


def test_the_active_provider_is_served_before_the_legacy_ones() -> None:
    settings = make(
        payment_provider="polar",
        legacy_providers="stripe, paddle,stripe",
        stripe_secret_key=SecretStr("sk_test_1"),
        paddle_api_key=SecretStr("pdl_sdbx_apikey_1"),
    )
    assert settings.served_providers == (Provider.POLAR, Provider.STRIPE, Provider.PADDLE)
    assert make().served_providers == (Provider.STRIPE,)


@pytest.mark.parametrize(
    ("legacy", "line"),
    [
        ("stripe", "LEGACY_PROVIDERS names stripe, which is PAYMENT_PROVIDER"),
        ("polar", "LEGACY_PROVIDERS names polar, but POLAR_ACCESS_TOKEN is not set"),
        ("lemonsqueezy", "names lemonsqueezy, but LEMONSQUEEZY_API_KEY is not set"),
        ("paypal", "LEGACY_PROVIDERS"),
    ],
)
def test_legacy_providers_that_cannot_be_end_the_start_with_a_line(
    legacy: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEGACY_PROVIDERS", legacy)
    get_settings.cache_clear()
    with pytest.raises(SystemExit) as ended:
        load_settings()
    first, *others = str(ended.value).splitlines()
    assert first == "The settings are not right:"
    assert len(others) == 1
    assert line in others[0]


def test_an_active_provider_without_a_key_ends_the_start_with_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLAR_ACCESS_TOKEN", "hunter2")
    get_settings.cache_clear()
    with pytest.raises(SystemExit) as ended:
        load_settings()
    assert str(ended.value).splitlines()[1:] == [
        "STRIPE_SECRET_KEY: is not set, and PAYMENT_PROVIDER is stripe."
    ]
    monkeypatch.setenv("PAYMENT_PROVIDER", "polar")
    get_settings.cache_clear()
    assert load_settings().served_providers == (Provider.POLAR,)
    monkeypatch.setenv("LEGACY_PROVIDERS", "lemonsqueezy")
    monkeypatch.setenv("LEMONSQUEEZY_API_KEY", "hunter2")
    get_settings.cache_clear()
    with pytest.raises(SystemExit, match="LEMONSQUEEZY_STORE_ID: is not set"):
        load_settings()
    get_settings.cache_clear()


def test_the_sandbox_names_the_key_of_the_provider_it_stands_for() -> None:
    with pytest.raises(ValidationError, match="Set POLAR_ACCESS_TOKEN"):
        make(payment_provider="polar", base_url="https://billing.example.com")


# ---------------------------------------------------------------- the sandbox


def test_without_a_key_the_sandbox_runs() -> None:
    assert make().sandbox


@pytest.mark.parametrize(
    "key", ["stripe_secret_key", "polar_access_token", "lemonsqueezy_api_key", "paddle_api_key"]
)
def test_with_any_providers_key_there_is_no_sandbox(key: str) -> None:
    assert not make(**{key: SecretStr("sk_test_1")}).sandbox


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"base_url": "https://billing.example.com"}, "https BASE_URL"),
        ({"base_url": "HTTPS://billing.example.com"}, "https BASE_URL"),
        ({"database_url": "postgresql://db.example.com/billing"}, "DATABASE_URL"),
    ],
)
def test_the_sandbox_refuses_to_run_in_production(fields: dict[str, str], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        make(**fields)
    assert make(**fields, stripe_secret_key=LIVE, secret_key=SecretStr("x"))


# ---------------------------------------------------------------- what follows from what


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BASE_URL", "PORT", "STRIPE_SECRET_KEY", "ALLOWED_RETURN_ORIGINS"):
        monkeypatch.setenv(name, "")
    settings = make()
    assert (settings.base_url, settings.port) == ("http://localhost:3000", 3000)
    assert settings.allowed_return_origins == ()


def test_the_address_follows_the_port_until_it_is_set() -> None:
    assert make(port=8080).base_url == "http://localhost:8080"
    assert make(port=8080, base_url="http://localhost/").base_url == "http://localhost"


def test_origins_are_listed_with_commas_and_kept_without_paths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALLOWED_RETURN_ORIGINS", "https://App.example.com/x , http://b.example:80,")
    assert make().allowed_return_origins == ("https://app.example.com", "http://b.example")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:///billing.db", "sqlite+aiosqlite:///billing.db"),
        ("postgres://u:p@db/x", "postgresql+asyncpg://u:p@db/x"),
        ("postgresql://u:p@db/x", "postgresql+asyncpg://u:p@db/x"),
        ("postgresql+asyncpg://u:p@db/x", "postgresql+asyncpg://u:p@db/x"),
    ],
)
def test_a_plain_database_url_gets_its_async_driver(given: str, used: str) -> None:
    assert make(database_url=given, stripe_secret_key=SecretStr("sk_test_1")).database_url == used


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("HTTPS://Billing.Example.com:443/a?b#c", "https://billing.example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:80/", "http://[::1]"),
    ],
)
def test_an_origin_is_scheme_host_and_unusual_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["", "/billing", "//example.com", "ftp://example.com", "javascript:x", "http://u@h/"]
)
def test_what_is_no_address_on_the_web_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"absolute|credentials"):
        origin_of(url)


# ---------------------------------------------------------------- documentation


@pytest.mark.parametrize("document", ["README.md", ".env.example"])
def test_every_setting_is_documented_and_nothing_else_is(document: str) -> None:
    text = (REPOSITORY / document).read_text()
    pattern = r"^\| `([A-Z_]+)` \|" if document == "README.md" else r"^# ([A-Z_]+)="
    known = {name.upper() for name in Settings.model_fields}
    # Numbered from the second provider on; the first one's stand for them all.
    known = known - {"OIDC_PROVIDERS"} | {
        f"OIDC_{name.upper()}" for name in OidcProvider.model_fields
    }
    assert set(re.findall(pattern, text, re.MULTILINE)) == known


# ---------------------------------------------------------------- OpenID providers


FIRST = {"OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "billing"}


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Set environment variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_no_openid_provider_is_there_by_itself() -> None:
    assert make().oidc_providers == {}


def test_openid_providers_are_numbered_and_may_leave_numbers_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_all(monkeypatch, FIRST)
    set_all(
        monkeypatch,
        {
            "OIDC_3_ISSUER": "http://127.0.0.1:9000/realm",
            "OIDC_3_CLIENT_ID": "other",
            "OIDC_3_CLIENT_SECRET": "hunter2",
            "OIDC_3_AUDIENCE": "https://api.example.com",
            "OIDC_3_LABEL": "Acme ID",
            "OIDC_2_LABEL": "",
        },
    )
    first, third = make().oidc_providers[1], make().oidc_providers[3]
    assert list(make().oidc_providers) == [1, 3]
    assert (first.issuer, first.client_id) == ("https://id.example.com", "billing")
    assert (first.client_secret.get_secret_value(), first.audience) == ("", "")
    assert first.label == "single sign-on"
    assert third.client_secret.get_secret_value() == "hunter2"
    assert (third.audience, third.label) == ("https://api.example.com", "Acme ID")
    assert "hunter2" not in f"{make()!r} {make()}"


def test_openid_providers_are_read_from_the_file_and_the_environment_weighs_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("OIDC_ISSUER=https://id.example.com\nOIDC_CLIENT_ID=file\nOIDC_LABEL=Acme ID\n")
    monkeypatch.setenv("OIDC_CLIENT_ID", "environment")
    provider = Settings(_env_file=file).oidc_providers[1]
    assert (provider.client_id, provider.label) == ("environment", "Acme ID")


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"OIDC_CLIENT_SECRET": "hunter2"}, "OIDC_ISSUER: "),
        ({"OIDC_2_LABEL": "Acme ID"}, "OIDC_2_CLIENT_ID: "),
        (FIRST | {"OIDC_ISSUER": "http://hunter2.example.com"}, "OIDC_ISSUER: must be an https"),
        (FIRST | {"OIDC_ISSUER": "https://ada:hunter2@id.example.com"}, "OIDC_ISSUER: "),
        (FIRST | {"OIDC_ISSUER": "https://id.example.com/?a=hunter2"}, "OIDC_ISSUER: an issuer"),
        (FIRST | {"OIDC_ISSUER": "http://127.0.0.1.hunter2.example"}, "OIDC_ISSUER: must be"),
        (FIRST | {"OIDC_AUDIENCE": FIRST["OIDC_CLIENT_ID"]}, "OIDC_AUDIENCE: must not be"),
        (
            FIRST | {"OIDC_2_ISSUER": "https://id.example.com/", "OIDC_2_CLIENT_ID": "hunter2"},
            "Two of the OIDC providers have the same issuer.",
        ),
    ],
)
def test_a_wrong_openid_provider_ends_the_start_with_a_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], line: str, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    set_all(monkeypatch, variables)
    get_settings.cache_clear()
    with pytest.raises(SystemExit) as ended:
        load_settings()
    get_settings.cache_clear()
    told = str(ended.value)
    assert any(one.startswith(line) for one in told.splitlines()), told
    assert "hunter2" not in told


@pytest.mark.parametrize("provider", Provider)
def test_webhook_secrets_are_separated_by_commas(provider: Provider) -> None:
    named: dict[str, Any] = {
        "payment_provider": provider,
        "lemonsqueezy_store_id": "1",
        KEY_SETTINGS[provider].lower(): SecretStr("key"),
    }
    assert make(**named).webhook_secrets(provider) == ()
    named[f"{provider}_webhook_secret"] = SecretStr(" one, two ,,")
    assert make(**named).webhook_secrets(provider) == ("one", "two")


@pytest.mark.parametrize(
    ("provider", "beginning"),
    [
        (Provider.STRIPE, "whsec_"),
        (Provider.POLAR, "polar_whs_"),
        (Provider.LEMONSQUEEZY, ""),
        (Provider.PADDLE, "pdl_ntfset_"),
    ],
)
def test_the_embedded_sandbox_has_a_webhook_secret_of_this_installation(
    provider: Provider, beginning: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'billing.db'}"

    def secret(**fields: Any) -> str:
        settings = make(payment_provider=provider, database_url=url, **fields)
        [only] = settings.webhook_secrets(provider)
        assert only.startswith(beginning)
        return only

    # Without a SECRET_KEY one is made, once.
    assert secret() == secret()
    assert len({secret(), secret(secret_key="one"), secret(secret_key="two")}) == 3
    assert secret(**{f"{provider}_webhook_secret": SecretStr(f"{beginning}own")}).endswith("own")
    others = set(Provider) - {provider}
    settings = make(payment_provider=provider, database_url=url)
    assert [settings.webhook_secrets(other) for other in others] == [(), (), ()]


def test_every_demo_has_a_database_of_its_own_and_none_that_of_real_people() -> None:
    keys = [{KEY_SETTINGS[one].lower(): SecretStr("a key")} for one in Provider]
    demos = [make(payment_provider=one).database_url for one in Provider]
    [real] = {make(payment_provider=Provider.POLAR, **key).database_url for key in keys}
    assert len({*demos, real}) == len(demos) + 1
    assert real.endswith("/.data/billing-ui.db")
    assert demos[0].endswith("/.data/demo-stripe.db")
    own = make(database_url="sqlite:///here.db", payment_provider=Provider.POLAR)
    assert own.database_url.endswith(":///here.db")


def test_lemon_squeezy_takes_no_secret_of_more_than_40_characters(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'billing.db'}"
    settings = make(payment_provider=Provider.LEMONSQUEEZY, database_url=url)
    [secret] = settings.webhook_secrets(Provider.LEMONSQUEEZY)
    assert len(secret) == 40
