"""What every use case works with: settings, database and drivers, opened once a process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import SecretStr

from billing_ui.accounts.jwt_bearer import JwtBearers, TrustedIssuer
from billing_ui.accounts.limits import Limits
from billing_ui.accounts.oidc import SingleSignOn
from billing_ui.accounts.oidc_keys import Issuer
from billing_ui.billing.arrivals import Arrival, gather_arrivals
from billing_ui.billing.group_commit import GroupCommit
from billing_ui.billing.live import Live
from billing_ui.billing.wake import Wake
from billing_ui.database import Database
from billing_ui.payments.driver import Drivers
from billing_ui.settings import Settings, get_settings
from billing_ui.telemetry import hide


@dataclass(frozen=True)
class Services:
    """The parts a use case is handed; tests build their own.

    Attributes:
        live: tells open pages of a team that its billing changed.
        work: wakes the worker of this process when a customer or the catalogue was marked out of date.
        fetched: wakes who waits in this process for a fetch of somebody else's to end.
    """

    settings: Settings
    database: Database
    drivers: Drivers
    live: Live = field(default_factory=Live)
    work: Wake = field(default_factory=Wake)
    fetched: Wake = field(default_factory=Wake)

    @classmethod
    def open(cls, settings: Settings) -> "Services":
        """Open the database and the drivers that `settings` name; nothing connects yet.

        From now on no log line holds any of their secrets.
        """
        for _, value in settings:
            if isinstance(value, SecretStr):
                # One setting can hold several, separated by commas.
                hide(part.strip() for part in value.get_secret_value().split(","))
        hide(one.client_secret.get_secret_value() for one in settings.oidc_providers.values())
        return cls(settings, Database(settings.database_url), Drivers(settings))

    @cached_property
    def arrivals(self) -> GroupCommit[Arrival, bool]:
        """Where events that arrive wait for the transaction they share; tells whether each is new."""
        return gather_arrivals(self.database)

    @cached_property
    def limits(self) -> Limits:
        """How often somebody may do something."""
        return Limits(self.settings)

    @cached_property
    def issuers(self) -> Mapping[int, Issuer]:
        """The OpenID providers of the settings, by their numbers; none is asked before it is needed."""
        providers = self.settings.oidc_providers
        return {number: Issuer(provider.issuer) for number, provider in providers.items()}

    @cached_property
    def jwt_bearers(self) -> JwtBearers:
        """Tells whose a token of those providers is, where an audience says that they make any for us."""
        return JwtBearers(
            TrustedIssuer(self.issuers[number], provider.audience)
            for number, provider in self.settings.oidc_providers.items()
            if provider.audience
        )

    @cached_property
    def single_sign_on(self) -> SingleSignOn:
        """Signing in at the OpenID providers."""
        return SingleSignOn(self.settings, self.database, self.issuers)

    async def close(self) -> None:
        """Close every connection."""
        await self.drivers.close()
        await self.limits.close()
        await self.database.close()


_current: Services | None = None


def install_services(services: Services | None) -> None:
    """Make `services` what `current_services` returns in this process."""
    global _current
    _current = services


def current_services() -> Services:
    """Return the services of this process, opened from its settings if none were installed."""
    global _current
    if _current is None:
        _current = Services.open(get_settings())
    return _current
