"""Our copy of what the provider sells, and the portal configuration made of it."""

import asyncio

from sqlalchemy import delete
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.fetches import (
    FETCH_TIMEOUT_SECONDS,
    Fetch,
    OutdatedFetch,
    abandon_fetch,
    accept_fetch,
    begin_fetch,
    mark_out_of_date,
    reach,
)
from billing_ui.billing.services import Services
from billing_ui.billing.upsert import insert_if_absent, upsert
from billing_ui.clock import utc_now
from billing_ui.models import Catalog, PortalConfiguration, Price, Product
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import (
    CatalogSnapshot,
    PortalConfigurationRef,
    ProviderUnavailable,
)
from billing_ui.settings import Provider


async def refresh_catalog(
    services: Services, provider: Provider | None = None, *, after: int | None = None
) -> None:
    """Fetch a provider's products and prices and make our tables say the same.

    The portal configuration, if we have made one, is updated in place when it no longer fits. One
    refresh runs at a time, in whatever process; a call waits for a running one and is content with it
    if it began late enough.

    Args:
        provider: whose; None for the active one's.
        after: the catalogue's `wanted` that the fetch must have seen. None asks for one that begins after
            this call.

    Raises:
        PaymentError: as `Driver.fetch_catalog`; what we have is kept.
    """
    await _refresh(services, _driver(services, provider), after, make_configuration=False)


async def portal_configuration_id(
    services: Services, provider: Provider | None = None, *, unusable: str | None = None
) -> str | None:
    """Return the id of our portal configuration, making it when there is none yet.

    None for a provider that has no such thing.

    Args:
        provider: at which one; None for the active one.
        unusable: an id that the provider has just refused; it is looked for or made anew.

    Raises:
        ProductNotActive, NoActivePrices: one must be made, and there is nothing to offer in it.
        PaymentError: as `Driver.fetch_catalog`.
    """
    driver = _driver(services, provider)
    async with services.database.read() as session:
        known = await session.get(PortalConfiguration, driver.provider.value)
    if known is not None and known.id != unusable:
        return known.id
    if known is not None:
        async with services.database.write() as session:
            await session.exec(
                delete(PortalConfiguration).where(
                    col(PortalConfiguration.provider) == driver.provider.value,
                    col(PortalConfiguration.id) == unusable,
                )
            )
    await _refresh(services, driver, None, make_configuration=True)
    async with services.database.read() as session:
        made = await session.get(PortalConfiguration, driver.provider.value)
    return made.id if made else None


def _driver(services: Services, provider: Provider | None) -> Driver:
    return services.drivers.active if provider is None else services.drivers.get(provider)


async def _refresh(
    services: Services, driver: Driver, after: int | None, *, make_configuration: bool
) -> None:
    database, provider = services.database, driver.provider.value
    goal = await _mark(services, provider) if after is None else after

    async def refresh_once() -> CatalogSnapshot | None:
        fetch = await begin_fetch(database, Catalog, provider, goal)
        if fetch is None:
            return None
        return await _fetch_and_apply(
            services, driver, fetch, make_configuration=make_configuration
        )

    await reach(database, services.fetched, Catalog, provider, goal, refresh_once)


async def _mark(services: Services, provider: str) -> int:
    async with services.database.write() as session:
        await insert_if_absent(session, Catalog(provider=provider))
        return await mark_out_of_date(session, Catalog, provider)


async def _fetch_and_apply(
    services: Services, driver: Driver, fetch: Fetch, *, make_configuration: bool
) -> CatalogSnapshot | None:
    """Return what was fetched, or None when a later fetch came first."""
    provider = driver.provider.value
    try:
        async with services.database.read() as session:
            row = await session.get(PortalConfiguration, provider)
        known = PortalConfigurationRef(id=row.id, hash=row.hash) if row else None
        async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
            catalog = await driver.fetch_catalog()
            configuration = (
                await driver.ensure_portal_configuration(catalog, known)
                if known or make_configuration
                else None
            )
        async with services.database.write() as session:
            await accept_fetch(session, Catalog, provider, fetch, {"fetched_at": utc_now()})
            await _write(session, catalog)
            if configuration is not None:
                await _write_configuration(session, provider, configuration)
    except OutdatedFetch:
        return None
    except BaseException as error:
        # Also when the task is cancelled: nobody should wait for a lease that no one uses.
        await abandon_fetch(services.database, Catalog, provider, fetch)
        if isinstance(error, TimeoutError):
            raise ProviderUnavailable(f"{driver.display_name} didn't answer in time.") from None
        raise
    finally:
        services.fetched.ring()
    return catalog


async def _write(session: AsyncSession, catalog: CatalogSnapshot) -> None:
    provider = catalog.provider
    products = [
        {
            "provider": provider,
            "position": position,
            "features": list(product.features),
            **product.model_dump(exclude={"prices", "features"}),
        }
        for position, product in enumerate(catalog.products)
    ]
    prices = [
        {"provider": provider, "position": position, **price.model_dump()}
        for product in catalog.products
        for position, price in enumerate(product.prices)
    ]
    await upsert(session, Product, products)
    await upsert(session, Price, prices)
    for model, rows in ((Price, prices), (Product, products)):
        kept = [row["id"] for row in rows]
        await session.exec(
            delete(model).where(col(model.provider) == provider, col(model.id).not_in(kept))
        )


async def _write_configuration(
    session: AsyncSession, provider: str, configuration: PortalConfigurationRef
) -> None:
    row = {"provider": provider, "updated_at": utc_now(), **configuration.model_dump()}
    await upsert(session, PortalConfiguration, [row])
