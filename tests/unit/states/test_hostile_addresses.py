"""What stands in the address of a page is anybody's wish: no handler leads off this site because of it."""

from urllib.parse import quote

import pytest

from billing_ui.billing.services import Services
from billing_ui.states.returning import ReturnState
from billing_ui.states.sign_in import SignInState, destination_after
from tests.hostile_urls import HOSTILE_URLS
from tests.unit.states.tab import Tab, redirect_of


def test_signing_in_leads_to_the_billing_page_instead(services: Services) -> None:
    assert {destination_after(url) for url in HOSTILE_URLS} == {"/settings/billing"}


async def test_the_sign_in_page_leads_nobody_who_is_signed_in_elsewhere(owner: str) -> None:
    for url in HOSTILE_URLS[::8]:
        tab = Tab(owner, path=f"/sign-in?next={quote(url, safe='')}")
        assert redirect_of(await tab.send(SignInState.load)) == "/settings/billing", url


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "encoded"])
async def test_the_return_page_takes_no_address_for_a_visit(owner: str, raw: bool) -> None:
    for url in HOSTILE_URLS[::8]:
        visit = url.replace("&", "%26") if raw else quote(url, safe="")
        tab = Tab(owner, path=f"/settings/billing/return?visit={visit}")
        await tab.send(ReturnState.load)
        assert redirect_of(await tab.send(ReturnState.fetch)) == "/settings/billing", url
        assert (await tab.state(ReturnState)).departure.address == "", url


async def test_the_return_page_carries_it_unharmed_through_sign_in(services: Services) -> None:
    for url in (*HOSTILE_URLS[::8], "\ud800", "é"):
        tab = Tab(None, path=f"/settings/billing/return?visit={url.replace('&', '%26')}")
        await tab.send(ReturnState.load)
        way = redirect_of(await tab.send(ReturnState.fetch))
        assert way.startswith("/sign-in?next=%2Fsettings%2Fbilling%2Freturn%3Fvisit%3D"), url
        assert way.isascii(), url
        assert destination_after(url) == "/settings/billing", url
