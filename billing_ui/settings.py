"""Every setting of the application, read once from the environment and `.env`."""

import hmac
import os
import re
import secrets
from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property, lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.sources import EnvSettingsSource
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

SANDBOX_SECRET_KEY = "sk_test_sandbox"  # noqa: S105 - the sandbox accepts any test key
SANDBOX_HOST = "127.0.0.1"
"""Not `localhost`, which is the app's: cookies ignore ports, and the two must not share any."""
DEFAULT_SANDBOX_PORT = 8420

DEVELOPMENT_BACKEND_URL = "http://localhost:8000"

_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}
# OIDC_ISSUER is the first provider's, OIDC_2_ISSUER the second's.
_OIDC_VARIABLE: Final = re.compile(
    r"oidc_(?:(?P<number>[2-9]|[1-9][0-9])_)?(?P<field>issuer|client_id|client_secret|audience|label)"
)


class EventsMode(StrEnum):
    """How the provider's events reach us."""

    WEBHOOK = "webhook"
    POLL = "poll"


class Provider(StrEnum):
    """The payment providers a team's customer can belong to."""

    STRIPE = "stripe"
    POLAR = "polar"
    LEMONSQUEEZY = "lemonsqueezy"
    PADDLE = "paddle"


SANDBOX_KEYS: Final = {
    Provider.STRIPE: SANDBOX_SECRET_KEY,
    Provider.POLAR: "polar_oat_sandbox",
    Provider.LEMONSQUEEZY: "lemonsqueezy-sandbox",
    Provider.PADDLE: "pdl_sdbx_apikey_sandbox",
}
"""What the embedded sandbox is asked with; it accepts any key that is not a live one."""

KEY_SETTINGS: Final = {
    Provider.STRIPE: "STRIPE_SECRET_KEY",
    Provider.POLAR: "POLAR_ACCESS_TOKEN",
    Provider.LEMONSQUEEZY: "LEMONSQUEEZY_API_KEY",
    Provider.PADDLE: "PADDLE_API_KEY",
}
"""The setting that holds the key of each provider's API."""

_LIVE_KEYS: Final = ("sk_live_", "rk_live_", "pdl_live_")
"""How a key begins that says of itself that it is live; those of Polar and Lemon Squeezy do not tell."""


_SANDBOX_WEBHOOK_SECRETS: Final = {
    Provider.STRIPE: "whsec_{}",
    Provider.POLAR: "polar_whs_{}",
    # Lemon Squeezy takes 6 to 40 characters.
    Provider.LEMONSQUEEZY: "{:.40}",
    Provider.PADDLE: "pdl_ntfset_{}",
}


def origin_of(url: str) -> str:
    """Return the origin (scheme, host, non-default port) of an absolute http(s) URL, lower case.

    Raises:
        ValueError: `url` is not an absolute http(s) URL, or carries credentials.
    """
    # Nothing of the URL is repeated: a setting that is wrong may hold a password in the wrong place.
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    if scheme not in _DEFAULT_PORTS or not host:
        raise ValueError("not an absolute http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with credentials is not accepted")
    if ":" in host:
        host = f"[{host}]"
    usual = port in (None, _DEFAULT_PORTS[scheme])
    return f"{scheme}://{host}" if usual else f"{scheme}://{host}:{port}"


def is_https_or_loopback(url: str) -> bool:
    """Return whether what is sent to the absolute `url` can be read by nobody on its way."""
    parts = urlsplit(url)
    return parts.scheme.lower() == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Return whether `host` is this very machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        # RFC 6761, section 6.3.
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def _comma_separated(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _split_text(value: object) -> object:
    return _comma_separated(value) if isinstance(value, str) else value


class OidcProvider(BaseModel):
    """An OpenID provider that people can sign in with.

    Attributes:
        issuer: its address, as its own documents and tokens have it.
        client_id, client_secret: what we are registered as there; without a secret we are a public client.
        audience: whom its access tokens for our API are made for; empty when none are accepted.
        label: what people know it as.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    issuer: str
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretStr = SecretStr("")
    audience: str = ""
    label: str = ""

    @field_validator("issuer")
    @classmethod
    def _address(cls, value: str) -> str:
        origin_of(value)
        if not is_https_or_loopback(value):
            raise ValueError("must be an https address; plain http is for this machine only")
        if "?" in value or "#" in value:
            raise ValueError("an issuer has neither a query nor a fragment")
        return value

    @field_validator("audience")
    @classmethod
    def _for_our_api(cls, value: str, info: ValidationInfo) -> str:
        if value and value == info.data.get("client_id"):
            # ID tokens are made for the client: any page that gets one could call the API with it.
            raise ValueError("must not be the client's id, for which ID tokens are made")
        return value

    @model_validator(mode="before")
    @classmethod
    def _default_label(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("label"):
            return {**data, "label": "single sign-on"}
        return data


class _NumberedProviders(PydanticBaseSettingsSource):
    """Gathers OIDC_ISSUER, OIDC_2_ISSUER and so on, from where the other settings are read."""

    def __init__(
        self, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource
    ) -> None:
        super().__init__(settings_cls)
        # What comes first weighs more.
        self._variables: dict[str, str | None] = {}
        for source in reversed(sources):
            if isinstance(source, EnvSettingsSource):
                self._variables |= _filled(source.env_vars)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: the one field this source knows is made of many variables."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the providers by their numbers, or nothing when no variable of one is set."""
        providers: defaultdict[int, dict[str, str | None]] = defaultdict(dict)
        for name, value in self._variables.items():
            if found := _OIDC_VARIABLE.fullmatch(name.lower()):
                providers[int(found["number"] or 1)][found["field"]] = value
        return {"oidc_providers": dict(sorted(providers.items()))} if providers else {}


def _filled(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: value for name, value in variables.items() if value}


class Settings(BaseSettings):
    """What an operator can set; each field is the environment variable of the same name.

    Only OpenID providers, of which there can be several, are numbered: OIDC_ISSUER, OIDC_2_ISSUER and so on.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    app_name: str = "Acme Cloud"
    app_logo: str = ""
    support_url: str = ""

    port: Annotated[int, Field(ge=1, le=65535)] = 3000
    base_url: str = ""
    api_url: str = ""
    secret_key: SecretStr = SecretStr("")
    # It may hold a password.
    database_url: Annotated[str, Field(repr=False)] = ""
    redis_url: SecretStr = SecretStr("")
    allowed_return_origins: Annotated[tuple[str, ...], NoDecode] = ()
    time_zone: str = "UTC"
    events_mode: EventsMode = EventsMode.WEBHOOK
    worker: Literal["on", "off"] = "on"
    metrics_token: SecretStr = SecretStr("")
    rate_limits: Literal["on", "off"] = "on"
    trusted_proxy_hops: Annotated[int, Field(ge=0, le=10)] = 0

    payment_provider: Provider = Provider.STRIPE
    legacy_providers: Annotated[tuple[Provider, ...], NoDecode] = ()
    stripe_secret_key: SecretStr = SecretStr("")
    stripe_webhook_secret: SecretStr = SecretStr("")
    stripe_api_base: str = ""
    stripe_portal_configuration: str = ""
    stripe_portal_configurations: Annotated[tuple[str, ...], NoDecode] = ()
    polar_access_token: SecretStr = SecretStr("")
    polar_webhook_secret: SecretStr = SecretStr("")
    polar_api_base: str = ""
    lemonsqueezy_api_key: SecretStr = SecretStr("")
    lemonsqueezy_webhook_secret: SecretStr = SecretStr("")
    lemonsqueezy_store_id: str = ""
    lemonsqueezy_api_base: str = ""
    paddle_api_key: SecretStr = SecretStr("")
    paddle_webhook_secret: SecretStr = SecretStr("")
    paddle_api_base: str = ""

    oidc_providers: dict[int, OidcProvider] = {}

    sandbox_port: Annotated[int, Field(ge=1, le=65535)] | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the numbered providers as well, from the environment and `.env`."""
        numbered = _NumberedProviders(settings_cls, env_settings, dotenv_settings)
        return init_settings, numbered, env_settings, dotenv_settings, file_secret_settings

    _split = field_validator(
        "allowed_return_origins",
        "stripe_portal_configurations",
        "legacy_providers",
        mode="before",
    )(_split_text)

    @field_validator("allowed_return_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origin_of(url) for url in value)

    @field_validator(
        "base_url",
        "api_url",
        *("stripe_api_base", "polar_api_base", "lemonsqueezy_api_base", "paddle_api_base"),
    )
    @classmethod
    def _absolute(cls, value: str) -> str:
        if value:
            origin_of(value)
        return value.rstrip("/")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("unknown time zone; use a name such as Europe/Berlin") from error
        return value

    @field_validator("database_url")
    @classmethod
    def _async_driver(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError:
            # The parser's own message repeats the URL, and with it a password.
            raise ValueError("not a database URL; use sqlite:///FILE or postgresql://…") from None
        if url.drivername not in (*_ASYNC_DRIVERS, *_ASYNC_DRIVERS.values()):
            raise ValueError(f"unsupported database {url.drivername!r}; use sqlite or postgresql")
        url = url.set(drivername=_ASYNC_DRIVERS.get(url.drivername, url.drivername))
        return url.render_as_string(hide_password=False)

    @field_validator("oidc_providers")
    @classmethod
    def _one_each(cls, value: dict[int, OidcProvider]) -> dict[int, OidcProvider]:
        issuers = [provider.issuer.rstrip("/") for provider in value.values()]
        if len(set(issuers)) < len(issuers):
            raise ValueError("Two of the OIDC providers have the same issuer. Remove one of them.")
        return value

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: dict[str, object]) -> dict[str, object]:
        if not data.get("database_url"):
            provider = data.get("payment_provider") or Provider.STRIPE
            # A demo's customers are known to its own sandbox alone, and real people have no business among them.
            keyed = any(data.get(name.lower()) for name in KEY_SETTINGS.values())
            name = "billing-ui" if keyed else f"demo-{provider}"
            data["database_url"] = f"sqlite:///.data/{name}.db"
        port = data.get("port") or 3000
        # A PORT that is no number is complained of by itself.
        if not data.get("base_url") and str(port).isdecimal():
            data["base_url"] = f"http://localhost:{port}"
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_legacy_providers()
        if self.sandbox:
            key = KEY_SETTINGS[self.payment_provider]
            if not self.uses_sqlite:
                raise ValueError(
                    f"The sandbox holds demo data and runs on SQLite only. Set {key} to use "
                    "this database with a provider, or remove DATABASE_URL."
                )
            if self.base_url.lower().startswith("https:"):
                raise ValueError(
                    "The sandbox is for local use only and does not run under an https BASE_URL. "
                    f"Set {key}, or use an http address."
                )
        elif self.live and not self.secret_key.get_secret_value():
            raise ValueError(
                "SECRET_KEY is required with a live provider key. Set it to 32 random bytes or more."
            )
        return self

    def _check_legacy_providers(self) -> None:
        for provider in self.legacy_providers:
            if provider is self.payment_provider:
                raise ValueError(
                    f"LEGACY_PROVIDERS names {provider}, which is PAYMENT_PROVIDER. Take it out of one of them."
                )
            if not self.key_of(provider):
                raise ValueError(
                    f"LEGACY_PROVIDERS names {provider}, but {KEY_SETTINGS[provider]} is not set. "
                    "Its customers can only be served with its key."
                )

    @property
    def served_providers(self) -> tuple[Provider, ...]:
        """The providers whose customers are served here: the active one, then those that some teams still have."""
        return tuple(dict.fromkeys((self.payment_provider, *self.legacy_providers)))

    def key_of(self, provider: Provider) -> str:
        """Return the key of a provider's API, empty when there is none."""
        key: SecretStr = getattr(self, KEY_SETTINGS[provider].lower())
        return key.get_secret_value()

    @property
    def sandbox(self) -> bool:
        """Whether the embedded sandbox is the provider: true while no provider key is set."""
        return not any(map(self.key_of, Provider))

    @property
    def live(self) -> bool:
        """Whether real money can move with the configured keys, for all that they tell."""
        return any(self.key_of(provider).startswith(_LIVE_KEYS) for provider in Provider)

    @property
    def uses_sqlite(self) -> bool:
        """Whether the database is an SQLite file."""
        return self.database_url.startswith("sqlite")

    @cached_property
    def base_origin(self) -> str:
        """The origin people reach the app under; forms and cookie requests must come from it."""
        return origin_of(self.base_url)

    @property
    def development(self) -> bool:
        """Whether plain `reflex run` serves pages and backend on two ports."""
        return os.environ.get("REFLEX_ENV_MODE", "dev") == "dev"

    @property
    def page_origins(self) -> tuple[str, ...]:
        """The origins our pages have: BASE_URL's, and in development also that of the server of the pages."""
        own = (f"http://localhost:{self.port}",) if self.development else ()
        return tuple(dict.fromkeys((self.base_origin, *own)))

    @property
    def browser_api_url(self) -> str:
        """Where the browser reaches the backend: BASE_URL, or its own port in development."""
        return DEVELOPMENT_BACKEND_URL if self.development else self.base_url

    @property
    def provider_api_url(self) -> str:
        """Where the payment provider reaches the backend: API_URL, or where the browser does."""
        return self.api_url or self.browser_api_url

    def webhook_secrets(self, provider: Provider) -> tuple[str, ...]:
        """Return the signing secrets of `provider`'s webhooks; several while one is being replaced.

        Nobody registers the embedded sandbox by hand: its secret is derived from this installation's own.
        """
        setting: SecretStr = getattr(self, f"{provider}_webhook_secret")
        secrets = _comma_separated(setting.get_secret_value())
        if secrets or not (self.sandbox and provider is self.payment_provider):
            return secrets
        derived = hmac.digest(self.signing_key, f"{provider} webhooks".encode(), "sha256").hex()
        return (_SANDBOX_WEBHOOK_SECRETS[provider].format(derived),)

    def webhook_url(self, provider: Provider) -> str:
        """Return the address that `provider` sends its events to."""
        return f"{self.provider_api_url}/api/webhooks/{provider}"

    @property
    def secure(self) -> bool:
        """Whether people reach the app over https, so that cookies are `Secure`."""
        return self.base_origin.startswith("https:")

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone in which dates are shown."""
        return ZoneInfo(self.time_zone)

    @property
    def data_directory(self) -> Path:
        """Where files beside the database stand: the sandbox's data and a generated secret key."""
        if self.uses_sqlite:
            database = make_url(self.database_url).database
            if database and database != ":memory:":
                return Path(database).parent
        return Path(".data")

    @cached_property
    def signing_key(self) -> bytes:
        """SECRET_KEY, or the key generated once beside the SQLite file."""
        if key := self.secret_key.get_secret_value():
            return key.encode()
        return _generated_key(self.data_directory / "secret-key").encode()


def _generated_key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    candidate = path.with_name(f"{path.name}.{os.getpid()}")
    candidate.touch(mode=0o600)
    candidate.write_text(secrets.token_urlsafe(48))
    try:
        # A hard link appears whole or not at all, so two processes starting together agree on one key.
        path.hardlink_to(candidate)
    except FileExistsError:
        pass
    finally:
        candidate.unlink()
    return path.read_text().strip()


@lru_cache
def get_settings() -> Settings:
    """Return the settings of this process, read on first use.

    Raises:
        pydantic.ValidationError: a variable is missing or malformed; the message names it.
    """
    return Settings()


_NOT_RIGHT: Final = "The settings are not right:"


def load_settings() -> Settings:
    """Return the settings of this process, or end it with a line for each one that is wrong."""
    try:
        settings = get_settings()
    except ValidationError as error:
        raise SystemExit(_in_lines(error)) from None
    # What is missing is not wrong in itself: one provider's driver works without the others' settings.
    if missing := _missing(settings):
        raise SystemExit("\n".join([_NOT_RIGHT, *missing]))
    return settings


def _missing(settings: Settings) -> list[str]:
    """Return a line for each setting without which no page would work."""
    if settings.sandbox:
        return []
    active, lines = settings.payment_provider, []
    if not settings.key_of(active):
        lines.append(f"{KEY_SETTINGS[active]}: is not set, and PAYMENT_PROVIDER is {active}.")
    if Provider.LEMONSQUEEZY in settings.served_providers and not settings.lemonsqueezy_store_id:
        lines.append("LEMONSQUEEZY_STORE_ID: is not set, so nobody knows which store this is for.")
    return lines


def _in_lines(error: ValidationError) -> str:
    """Return one line a wrong setting, naming the variable and never its value."""
    lines = []
    for detail in error.errors(include_input=False, include_url=False):
        name = _variable(detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {message}" if name else message)
    return "\n".join([_NOT_RIGHT, *lines])


def _variable(place: tuple[int | str, ...]) -> str:
    """Return the name of the variable that is wrong, by its place in the settings."""
    match place:
        case ("oidc_providers", number, str(field), *_) if field != "[key]":
            return f"OIDC_{'' if int(number) == 1 else f'{number}_'}{field}".upper()
        case ("oidc_providers", *_):
            return ""
    return ".".join(str(part) for part in place).upper()
