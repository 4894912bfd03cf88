"""Single sign-on at a real OpenID provider: there and back, out again, and everything that must not let anybody in."""

import re
import time
from collections.abc import Iterator
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from filelock import FileLock
from playwright.async_api import Page, expect

from tests.conftest import free_port
from tests.e2e.accessibility import complaints
from tests.e2e.server import BUILD, Server
from tests.e2e.visitors import BILLING, SIGN_IN, Visitors, button
from tests.oidc import CLIENT_SECRET, OpenIdProvider

SSO_BUILD = BUILD.with_name("e2e-oidc")


@pytest.fixture(scope="module")
def port() -> int:
    """Where the application is."""
    return free_port()


@pytest.fixture(scope="module")
def providers(port: int) -> Iterator[tuple[OpenIdProvider, OpenIdProvider]]:
    """Two providers; the second one is down when the application starts."""
    first, second = (OpenIdProvider(number, f"http://localhost:{port}") for number in (1, 2))
    first.start()
    yield first, second
    first.stop()
    second.stop()


@pytest.fixture(scope="module")
def provider(providers: tuple[OpenIdProvider, OpenIdProvider]) -> OpenIdProvider:
    """The first provider."""
    return providers[0]


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    port: int,
    providers: tuple[OpenIdProvider, OpenIdProvider],
) -> Iterator[Server]:
    """An installation of its own: what the sign-in page offers is built into it."""
    first, second = providers
    running = Server(
        tmp_path_factory.mktemp("oidc"), first.settings | second.settings, SSO_BUILD, port
    )
    SSO_BUILD.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(SSO_BUILD.with_suffix(".lock")):
        running.start()
        yield running
        running.stop()


@pytest.fixture
def second(server: Server, providers: tuple[OpenIdProvider, OpenIdProvider]) -> OpenIdProvider:
    """The second provider, which the application has found to be there by now."""
    provider = providers[1]
    provider.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = httpx.get(
            f"{server.base_url}/auth/oidc/2", headers={"Sec-Fetch-Site": "none"}, trust_env=False
        )
        if answer.headers["location"].startswith(provider.issuer):
            return provider
        # Whom it could not reach it asks again after some seconds.
        time.sleep(0.2)
    raise AssertionError("the application does not find the second provider")


async def go_to_provider(page: Page, label: str = "Acme ID 1") -> None:
    """Press the provider's button on the sign-in page."""
    await page.get_by_role("link", name=f"Continue with {label}", exact=True).click()


async def log_in_there(page: Page, login: str) -> None:
    """Fill in the provider's form, and agree to what the site wants to know."""
    await page.get_by_placeholder("Enter any login").fill(login)
    await page.get_by_placeholder("and password").fill("any")
    await button(page, "Sign-in").click()
    await button(page, "Continue").click()


async def sign_in(page: Page, login: str, label: str = "Acme ID 1") -> None:
    """Go the whole way from the sign-in page, as somebody the provider does not know yet."""
    await go_to_provider(page, label)
    await log_in_there(page, login)


async def signed_in(page: Page, email: str) -> None:
    """Wait until somebody is signed in, who is in no team."""
    await expect(
        page.get_by_role("heading", name="You are not in a team yet", exact=True)
    ).to_be_visible()
    await expect(button(page, f"Account: {email}")).to_be_visible()


async def told(page: Page, sentence: str) -> None:
    """Wait for what the sign-in page says; nobody is signed in."""
    await expect(page.get_by_role("alert")).to_have_text(re.compile(sentence))
    await expect(button(page, "Sign in")).to_be_visible()
    assert "billing_session" not in {one["name"] for one in await page.context.cookies()}


UNTRUSTED = "Acme ID 1 answered in a way that can't be trusted, so nobody was signed in"


async def test_a_provider_that_is_down_at_the_start_leaves_the_sign_in_page_of_use(
    visitors: Visitors, providers: tuple[OpenIdProvider, OpenIdProvider]
) -> None:
    providers[1].stop()
    page = await visitors.arrive(SIGN_IN)
    await go_to_provider(page, "Acme ID 2")
    await told(page, "Acme ID 2 can't be reached right now. Try again in a minute.")
    await sign_in(page, "grace")
    await signed_in(page, "grace@example.com")


async def test_the_first_provider_is_the_solid_button_and_the_password_is_still_there(
    visitors: Visitors,
) -> None:
    page = await visitors.arrive(SIGN_IN)
    await expect(page.locator("a.btn.solid")).to_have_text("Continue with Acme ID 1")
    await expect(page.locator("a.btn.outline")).to_have_text("Continue with Acme ID 2")
    await expect(page.locator(".solid")).to_have_count(1)
    await expect(page.get_by_label("E-mail")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
async def test_axe_finds_nothing_on_the_sign_in_page_and_nothing_is_cut(
    visitors: Visitors, theme: Literal["light", "dark"], width: int
) -> None:
    page = await visitors.profile(color_scheme=theme, viewport={"width": width, "height": 900})
    await page.goto(f"{SIGN_IN}?error=sso-untrusted&provider=1")
    await told(page, UNTRUSTED)
    await expect(page.locator("html")).to_have_class(re.compile(rf"\b{theme}\b"))
    assert not await complaints(page)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_somebody_new_is_signed_in_and_in_no_team(visitors: Visitors) -> None:
    page = await visitors.arrive(BILLING)
    await expect(page).to_have_url(re.compile(r"/sign-in\?next="))
    await sign_in(page, "ada")
    await signed_in(page, "ada@example.com")
    await expect(page).to_have_url(re.compile(rf"{BILLING}$"))
    (session,) = [one for one in await page.context.cookies() if one["name"].startswith("billing_")]
    assert session["name"] == "billing_session"
    assert session["httpOnly"]
    assert session["sameSite"] == "Lax"


async def test_where_somebody_wanted_to_go_survives_the_way_through_the_provider(
    visitors: Visitors, server: Server
) -> None:
    page = await visitors.arrive(f"{SIGN_IN}?next=/pricing%3Finterval%3Dyear")
    await sign_in(page, "ada")
    await expect(page).to_have_url(f"{server.base_url}/pricing?interval=year")


async def test_the_request_asks_for_pkce_and_ties_everything_to_this_browser(
    visitors: Visitors, provider: OpenIdProvider
) -> None:
    page = await visitors.arrive(SIGN_IN)
    async with page.expect_request(re.compile(rf"{provider.issuer}/auth\?")) as asked:
        await go_to_provider(page)
    query = parse_qs(urlsplit((await asked.value).url).query)
    assert query["response_type"] == ["code"]
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43
    assert len({query["state"][0], query["nonce"][0], query["code_challenge"][0]}) == 3
    (kept,) = [one for one in await page.context.cookies() if one["name"].startswith("billing_sso")]
    assert kept["httpOnly"]
    assert kept["sameSite"] == "Lax"
    assert query["nonce"][0] not in kept["value"]


async def test_two_tabs_can_sign_in_at_the_same_time(
    visitors: Visitors, second: OpenIdProvider
) -> None:
    page = await visitors.arrive(SIGN_IN)
    other = await page.context.new_page()
    await other.goto(SIGN_IN)
    await go_to_provider(page)
    await expect(page.get_by_placeholder("Enter any login")).to_be_visible()
    await go_to_provider(other, "Acme ID 2")
    await log_in_there(other, "other-two")
    await signed_in(other, "two@example.com")
    await page.bring_to_front()
    await log_in_there(page, "one")
    await signed_in(page, "one@example.com")


async def test_signing_out_ends_the_session_at_the_provider_too(visitors: Visitors) -> None:
    page = await visitors.arrive(SIGN_IN)
    await sign_in(page, "ada")
    await signed_in(page, "ada@example.com")
    await button(page, "Account: ada@example.com").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    # The provider asks once more; here the session is over already.
    await expect(button(page, "Yes, sign me out")).to_be_visible()
    assert "billing_session" not in {one["name"] for one in await page.context.cookies()}
    await button(page, "Yes, sign me out").click()
    await expect(page).to_have_url(re.compile(rf"{SIGN_IN}$"))
    await go_to_provider(page)
    await expect(page.get_by_placeholder("Enter any login")).to_be_visible()


async def test_who_is_known_at_the_provider_need_not_say_so_again(visitors: Visitors) -> None:
    page = await visitors.arrive(SIGN_IN)
    await sign_in(page, "ada")
    await signed_in(page, "ada@example.com")
    await page.context.clear_cookies(name="billing_session")
    await page.goto(SIGN_IN)
    await go_to_provider(page)
    await signed_in(page, "ada@example.com")


async def test_the_same_address_at_another_provider_is_somebody_else_and_is_let_in_nowhere(
    visitors: Visitors, second: OpenIdProvider
) -> None:
    first = await visitors.arrive(SIGN_IN)
    await sign_in(first, "lovelace")
    await signed_in(first, "lovelace@example.com")
    other = await visitors.arrive(SIGN_IN)
    await sign_in(other, "lovelace", "Acme ID 2")
    await told(other, "belongs to an account that Acme ID 2 isn't connected to")
    # At the same provider it is another account as well.
    third = await visitors.arrive(SIGN_IN)
    await sign_in(third, "other-lovelace")
    await told(third, "belongs to an account that Acme ID 1 isn't connected to")


async def test_an_address_that_the_provider_does_not_vouch_for_makes_no_user(
    visitors: Visitors,
) -> None:
    page = await visitors.arrive(SIGN_IN)
    await sign_in(page, "unverified-mallory")
    await told(page, "Your e-mail address isn't verified by Acme ID 1")


async def test_who_stops_at_the_provider_is_told_so_and_can_start_again(visitors: Visitors) -> None:
    page = await visitors.arrive(f"{SIGN_IN}?next=/pricing")
    await go_to_provider(page)
    await page.get_by_role("link", name="Cancel").click()
    await told(page, "Acme ID 1 did not let you in, or you stopped there")
    await sign_in(page, "ada")
    await expect(page).to_have_url(re.compile("/pricing$"))


async def come_back_address(page: Page, login: str) -> str:
    """Sign in, and return the address that the provider sent the browser back to."""
    async with page.expect_request(re.compile("/auth/oidc/1/callback")) as came_back:
        await sign_in(page, login)
    return (await came_back.value).url


async def test_an_answer_is_taken_once(visitors: Visitors) -> None:
    page = await visitors.arrive(SIGN_IN)
    address = await come_back_address(page, "ada")
    await signed_in(page, "ada@example.com")
    await page.context.clear_cookies(name="billing_session")
    await page.goto(address)
    await told(page, "This sign-in was not begun in this browser, or is finished already")


async def held_answer(page: Page, provider: OpenIdProvider, login: str = "ada") -> str:
    """Sign in as far as the provider goes, and return the address it would send the browser back to."""
    with provider.holding():
        await sign_in(page, login)
        address = await page.get_by_role("link", name="Go back").get_attribute("href")
    assert address is not None
    return address


async def test_an_answer_is_of_no_use_in_another_browser(
    visitors: Visitors, provider: OpenIdProvider
) -> None:
    # Mallory keeps the code for somebody else, who is to be signed in as Mallory.
    address = await held_answer(await visitors.arrive(SIGN_IN), provider, "mallory")
    victim = await visitors.arrive(SIGN_IN)
    await go_to_provider(victim)
    await victim.goto(address)
    await told(victim, "This sign-in was not begun in this browser, or is finished already")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("state", "made-up", "This sign-in was not begun in this browser"),
        ("state", "", "This sign-in was not begun in this browser"),
        ("iss", "https://id.example.com", UNTRUSTED),
        ("iss", "", UNTRUSTED),
        ("code", "made-up", "Signing in took too long. Start again."),
    ],
)
async def test_an_altered_answer_lets_nobody_in(
    visitors: Visitors, provider: OpenIdProvider, name: str, value: str, sentence: str
) -> None:
    page = await visitors.arrive(SIGN_IN)
    address = await held_answer(page, provider)
    await page.goto(re.sub(rf"([?&]{name}=)[^&]*", rf"\g<1>{value}", address))
    await told(page, sentence)


@pytest.mark.parametrize(
    "kind", ["nonce", "audience", "party", "issuer", "none", "HS256", "altered"]
)
async def test_a_wrong_id_token_lets_nobody_in(
    visitors: Visitors, provider: OpenIdProvider, kind: str
) -> None:
    page = await visitors.arrive(SIGN_IN)
    with provider.tampering(kind):
        await sign_in(page, "ada")
        await told(page, UNTRUSTED)


async def test_an_expired_id_token_is_told_of_as_a_matter_of_clocks(
    visitors: Visitors, provider: OpenIdProvider
) -> None:
    page = await visitors.arrive(SIGN_IN)
    with provider.tampering("expired"):
        await sign_in(page, "ada")
        await told(page, "Acme ID 1 and this site disagree about the time")


async def test_a_page_of_another_site_signs_nobody_in_unasked(
    visitors: Visitors, server: Server, provider: OpenIdProvider
) -> None:
    page = await visitors.arrive(SIGN_IN)
    await sign_in(page, "ada")
    await signed_in(page, "ada@example.com")
    await page.context.clear_cookies(name="billing_session")
    await page.goto(provider.issuer + "/.well-known/openid-configuration")
    await page.evaluate("url => { location.href = url }", f"{server.base_url}/auth/oidc/1")
    await expect(page).to_have_url(re.compile(rf"{SIGN_IN}$"))
    await expect(button(page, "Sign in")).to_be_visible()
    assert "billing_session" not in {one["name"] for one in await page.context.cookies()}


async def test_keys_can_be_rotated_while_everything_runs(
    visitors: Visitors, provider: OpenIdProvider
) -> None:
    page = await visitors.arrive(SIGN_IN)
    await sign_in(page, "ada")
    await signed_in(page, "ada@example.com")
    provider.rotate_keys()
    other = await visitors.arrive(SIGN_IN)
    await sign_in(other, "ada")
    await signed_in(other, "ada@example.com")


async def test_signing_out_here_works_while_the_provider_is_down(
    visitors: Visitors, second: OpenIdProvider
) -> None:
    page = await visitors.arrive(SIGN_IN)
    await sign_in(page, "other-three", "Acme ID 2")
    await signed_in(page, "three@example.com")
    second.stop()
    await button(page, "Account: three@example.com").click()
    async with page.expect_event("requestfailed"):
        await page.get_by_role("menuitem", name="Sign out").click()
    other = await page.context.new_page()
    await other.goto(BILLING)
    await expect(button(other, "Sign in")).to_be_visible()


async def test_no_secret_of_a_sign_in_is_in_the_log(visitors: Visitors, server: Server) -> None:
    page = await visitors.arrive(SIGN_IN)
    address = await come_back_address(page, "ada")
    await signed_in(page, "ada@example.com")
    query = parse_qs(urlsplit(address).query)
    log = server.log.read_text()
    assert "/auth/oidc/{number}/callback" in log
    for secret in (query["code"][0], query["state"][0], CLIENT_SECRET):
        assert secret not in log
    assert "eyJ" not in log
