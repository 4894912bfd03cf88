"""Settings: what their text says, and what it keeps to itself."""

from pydantic import SecretStr

from billing_ui.settings import Settings


def test_the_text_of_settings_holds_no_secret() -> None:
    settings = Settings(
        _env_file=None,
        database_url="postgresql://billing:hunter2@db.example.com/billing",
        redis_url=SecretStr("redis://:hunter2@cache.example.com"),
        secret_key=SecretStr("hunter2"),
        stripe_secret_key=SecretStr("sk_test_hunter2"),
        stripe_webhook_secret=SecretStr("whsec_hunter2"),
    )
    assert "hunter2" not in f"{settings!r} {settings}"
