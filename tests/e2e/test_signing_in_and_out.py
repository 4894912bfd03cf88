"""Signing in by the form, signing out, and what is left of a page whose session has ended."""

import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import delete
from sqlmodel import col

from billing_ui.models import AuthSession
from tests.e2e.factories import Person, World
from tests.e2e.server import Server
from tests.e2e.visitors import (
    BILLING,
    PRICING,
    RETURN,
    SIGN_IN,
    Visitors,
    billing_shown,
    button,
    region,
)

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def email(server: Server) -> str:
    """Somebody with a password, made by the command line while the application runs."""
    address = f"{uuid4().hex[:12]}@example.com"
    command = [str(Path(sys.executable).with_name("billing-ui")), "users", "create"]
    command += ["--email", address, "--team", f"Team of {address}", "--role", "owner"]
    made = subprocess.run(
        [*command, "--password-stdin"],
        input=f"{PASSWORD}\n",
        env=server.environment,
        cwd=server.data,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    assert f"Created {address}, owner of Team of {address}." in made.stdout
    return address


async def fill_in(page: Page, email: str, password: str) -> None:
    """Fill in the form and send it."""
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(password)
    await button(page, "Sign in").click()


async def sign_out(page: Page, person: Person) -> None:
    """Sign out by the account menu."""
    await button(page, f"Account: {person.email}").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(button(page, "Sign in")).to_be_visible()


async def test_signing_in_with_e_mail_and_password_shows_billing(
    visitors: Visitors, email: str
) -> None:
    page = await visitors.arrive("/")
    await expect(page).to_have_url(re.compile(rf"{SIGN_IN}"))
    await fill_in(page, email, PASSWORD)
    plan = await billing_shown(page)
    await expect(plan.get_by_text("Free", exact=True)).to_be_visible()
    (cookie,) = await page.context.cookies()
    assert cookie["name"] == "billing_session"
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"


async def test_a_wrong_password_says_so_without_saying_which_was_wrong(
    visitors: Visitors, email: str
) -> None:
    page = await visitors.arrive(SIGN_IN)
    for address in (email, "nobody@example.com"):
        await fill_in(page, address, "not the password")
        await expect(page.get_by_role("alert")).to_have_text("E-mail or password is wrong.")
        assert await page.context.cookies() == []


async def test_a_wrong_password_does_not_forget_where_to_go(
    visitors: Visitors, server: Server, email: str
) -> None:
    page = await visitors.arrive(f"{SIGN_IN}?next=/pricing")
    await fill_in(page, email, "not the password")
    await expect(page.get_by_role("alert")).to_be_visible()
    await fill_in(page, email, PASSWORD)
    await expect(page).to_have_url(f"{server.base_url}{PRICING}")


@pytest.mark.parametrize(
    "wish",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/%2F/evil.example",
        "javascript:alert(1)",
    ],
)
async def test_signing_in_never_leads_to_another_site(
    visitors: Visitors, server: Server, wish: str
) -> None:
    page = await visitors.profile()
    await page.goto(f"{server.base_url}{SIGN_IN}?next={wish}")
    await button(page, "Continue as no plan").click()
    await billing_shown(page)
    assert page.url == f"{server.base_url}{BILLING}"


async def test_a_page_asked_for_while_signed_out_is_shown_after_signing_in(
    visitors: Visitors,
) -> None:
    page = await visitors.arrive(BILLING)
    await expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Fsettings%2Fbilling$"))
    await button(page, "Continue as active").click()
    await billing_shown(page)


@pytest.mark.parametrize("path", ["/", SIGN_IN])
async def test_who_is_signed_in_is_sent_on_to_billing(
    visitors: Visitors, world: World, path: str
) -> None:
    page = await visitors.arrive(path, await world.newcomer())
    await billing_shown(page)


async def test_signing_out_ends_the_session_and_the_way_back_shows_nothing(
    visitors: Visitors, world: World
) -> None:
    person = await world.subscriber("pro")
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    await sign_out(page, person)
    assert await page.context.cookies() == []
    await page.go_back()
    await expect(button(page, "Sign in")).to_be_visible()
    await expect(page.get_by_text("$149.00")).to_have_count(0)
    # Whoever has kept the cookie has nothing either.
    await visitors.sign_in(page.context, person)
    await page.goto(BILLING)
    await expect(button(page, "Sign in")).to_be_visible()


async def test_another_tab_asks_to_sign_in_after_signing_out(
    visitors: Visitors, world: World
) -> None:
    person = await world.subscriber("pro")
    page = await visitors.arrive(person=person)
    other = await page.context.new_page()
    await other.goto(BILLING)
    await billing_shown(other)
    # A browser slows down the tabs nobody looks at.
    await page.bring_to_front()
    await billing_shown(page)
    await sign_out(page, person)
    await other.bring_to_front()
    await expect(button(other, "Sign in")).to_be_visible()
    await expect(other.get_by_text("$149.00")).to_have_count(0)


@pytest.mark.parametrize("pressed", ["Manage Billing", "Refresh", "Change plan"])
async def test_a_session_revoked_while_the_page_is_open_leads_every_button_to_sign_in(
    visitors: Visitors, world: World, pressed: str
) -> None:
    person = await world.subscriber("pro")
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    async with world.services.database.write() as session:
        await session.exec(delete(AuthSession).where(col(AuthSession.user_id) == person.user_id))
    # A page that looks for itself in this very moment is there already.
    await button(page, pressed).or_(button(page, "Sign in")).first.click()
    await expect(button(page, "Sign in")).to_be_visible()
    await expect(page.get_by_text("$149.00")).to_have_count(0)


async def test_a_tab_shows_nothing_of_the_person_who_was_there_before(
    visitors: Visitors, world: World
) -> None:
    rich, poor = await world.subscriber("pro"), await world.newcomer("Quiet Garden")
    page = await visitors.arrive(person=rich)
    await expect(await billing_shown(page)).to_contain_text("$149.00 per month")
    await visitors.sign_in(page.context, poor)
    await page.reload()
    plan = await billing_shown(page)
    await expect(plan.get_by_text("Free", exact=True)).to_be_visible()
    assert "149.00" not in await page.content()
    await expect(page.get_by_role("banner")).to_contain_text("Quiet Garden")


async def test_somebody_without_a_team_is_told_so(visitors: Visitors, world: World) -> None:
    page = await visitors.arrive(person=await world.loner())
    await expect(
        page.get_by_role("heading", name="You are not in a team yet", exact=True)
    ).to_be_visible()
    await expect(region(page, "Current plan")).to_have_count(0)


async def test_coming_back_signed_out_leads_through_sign_in_to_the_return_page(
    visitors: Visitors,
) -> None:
    page = await visitors.arrive(f"{RETURN}?visit=6f7a9e0e-0000-4000-8000-000000000000")
    await expect(page).to_have_url(re.compile(r"/sign-in\?next="))
    await button(page, "Continue as active").click()
    await billing_shown(page)
