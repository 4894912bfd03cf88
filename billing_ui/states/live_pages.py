"""Which tabs of this process show which team, and showing it to them anew when it changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import reflex as rx
import structlog
from reflex.istate.data import RouterData

from billing_ui import metrics
from billing_ui.accounts.own_sessions import ended_among
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.live import NewsMissed, Notice, SessionChanged, TeamChanged
from billing_ui.billing.services import Services, current_services
from billing_ui.billing.versions import NO_VERSION, Version, team_version, team_versions
from billing_ui.clock import utc_now

log = structlog.get_logger(__name__)

_SHORTEST_GAP_SECONDS: Final = 0.1
"""Between two readings for one page: of a hundred changes in a second it shows ten, and the last one always."""
_READING_AT_ONCE: Final = 8
"""So many pages read the database at the same time; the rest of it stays for whoever clicks."""
_LOOK_SECONDS: Final = 1.0
"""How often to look for what other processes did, where no connection to them tells."""
_LOOK_ANYWAY_SECONDS: Final = 30.0
"""How often to look where one does: a process can be killed after its commit and before it told."""


Show = Callable[[Any], Awaitable[Identity | None]]
"""Fills a locked state from our tables, having found out who is looking, and returns that."""


@dataclass(eq=False)
class _Page:
    """One tab. Its connection has the number `sid`: with another one it is registered anew."""

    token: str
    sid: str
    state: type[rx.State]
    router: RouterData
    show: Show
    session_id: UUID
    team_id: UUID | None
    version: Version
    due: bool = False
    out_of_date_since: datetime | None = None
    pushing: asyncio.Task[None] | None = field(default=None, repr=False)


class OpenPages:
    """The tabs of this process that show somebody what is theirs."""

    def __init__(self) -> None:
        """Begin with none."""
        self._pages: dict[str, _Page] = {}
        self._app: rx.App | None = None
        self._room = asyncio.Semaphore(_READING_AT_ONCE)

    async def register(self, state: rx.State, identity: Identity | None, show: Show) -> None:
        """Keep a tab current from now on; call it before reading what it is to show.

        Args:
            state: the tab's state of the page it is on, locked.
            identity: who is looking; nobody has anything to be kept current.
            show: what shows it anew.
        """
        session = state.router.session
        if not session.client_token or self._app is None:
            return
        if identity is None or identity.session_id is None:
            self._forget(session.client_token)
            return
        self._pages[session.client_token] = _Page(
            token=session.client_token,
            sid=session.session_id,
            state=type(state),
            router=state.router,
            show=show,
            session_id=identity.session_id,
            team_id=identity.team_id,
            version=await _version(current_services(), identity.team_id),
        )

    @asynccontextmanager
    async def kept_current(self, app: rx.App, services: Services) -> AsyncIterator[None]:
        """Show every registered tab of `app` what is new, as long as this is open."""
        self._app = app
        told = (
            bool(services.settings.redis_url.get_secret_value()) or not services.database.is_sqlite
        )
        looking = asyncio.create_task(
            self._look_around(services, _LOOK_ANYWAY_SECONDS if told else _LOOK_SECONDS),
            name="live pages",
        )
        stop = services.live.subscribe(self._hear)
        try:
            yield
        finally:
            stop()
            self._app = None
            pushing = [page.pushing for page in self._pages.values() if page.pushing]
            self._pages.clear()
            for task in (looking, *pushing):
                task.cancel()
            await asyncio.gather(looking, *pushing, return_exceptions=True)

    def _hear(self, notice: Notice) -> None:
        pages = self._pages.values()
        match notice:
            case TeamChanged():
                self._show_soon((p for p in pages if p.team_id == notice.team_id), notice.since)
            case SessionChanged():
                self._show_soon(p for p in pages if p.session_id == notice.session_id)
            case NewsMissed():
                self._show_soon(pages)

    def _show_soon(self, pages: Iterable[_Page], since: datetime | None = None) -> None:
        for page in pages:
            page.due = True
            page.out_of_date_since = page.out_of_date_since or since
            if page.pushing is None:
                # With nothing inherited from the handler or request whose commit this is about.
                page.pushing = asyncio.create_task(self._bring_up(page), context=Context())

    async def _bring_up(self, page: _Page) -> None:
        """Show a page anew until nothing more is due."""
        loop = asyncio.get_running_loop()
        try:
            while page.due and self._is_open(page):
                page.due = False
                since, page.out_of_date_since = page.out_of_date_since, None
                begun = loop.time()
                try:
                    await self._show(page)
                except Exception:
                    # Whatever is wrong with one page, the others are to be shown.
                    log.exception("live_page_failed", page=page.state.__name__)
                else:
                    if since is not None:
                        metrics.page_lag((utc_now() - since).total_seconds())
                await asyncio.sleep(_SHORTEST_GAP_SECONDS - (loop.time() - begun))
        finally:
            page.pushing = None

    async def _show(self, page: _Page) -> None:
        app, services = self._app, current_services()
        assert app is not None
        token: Any = rx.BaseStateToken(ident=page.token, cls=page.state)
        async with app.modify_state(token) as root:
            if not self._is_open(page):
                return
            if not root.router.session.client_token:
                # The store forgot the tab, which still shows what it was sent.
                root.router = page.router
            state = await root.get_state(page.state)
            # Taken in this order: a tab that is busy keeps no other one from reading.
            async with self._room:
                version = await _version(services, page.team_id)
                identity = await page.show(state)
        if identity is None:
            self._forget(page.token)
        elif identity.team_id == page.team_id:
            page.version = version
        else:
            page.team_id, page.version = identity.team_id, NO_VERSION

    async def _look_around(self, services: Services, seconds: float) -> None:
        """Find out by looking what other processes did and nobody told."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self._look(services)
            except Exception:
                # The database may be away for a while; pages are looked after again when it is back.
                log.exception("live_look_failed")

    async def _look(self, services: Services) -> None:
        for page in tuple(self._pages.values()):
            if not self._is_open(page):
                self._forget(page.token)
        if not self._pages:
            return
        pages = tuple(self._pages.values())
        seen = [page.version for page in pages]
        teams = {page.team_id for page in pages if page.team_id is not None}
        versions = await team_versions(services, teams)
        ended = await ended_among(services.database, {page.session_id for page in pages})
        self._show_soon(
            page
            for page, version in zip(pages, seen, strict=True)
            if page.session_id in ended
            # One that was shown meanwhile may have seen more than we did.
            or (page.version is version and _of(page.team_id, versions) != version)
        )

    def _is_open(self, page: _Page) -> bool:
        """Return whether the tab is still there, on the connection and the page it registered with."""
        return (
            self._app is not None
            and self._app.event_namespace is not None
            and self._pages.get(page.token) is page
            and self._app.event_namespace.sid_to_token.get(page.sid) == page.token
        )

    def _forget(self, token: str) -> None:
        self._pages.pop(token, None)


async def _version(services: Services, team_id: UUID | None) -> Version:
    return NO_VERSION if team_id is None else await team_version(services, team_id)


def _of(team_id: UUID | None, versions: dict[UUID, Version]) -> Version:
    return NO_VERSION if team_id is None else versions.get(team_id, NO_VERSION)


open_pages: Final = OpenPages()
"""The tabs of this process."""
