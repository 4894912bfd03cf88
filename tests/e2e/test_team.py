"""Teams in a browser: inviting, joining, roles, removing, switching; what one does, another one's open page shows."""

import asyncio
import re
import sys
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from billing_ui.accounts.sessions import identify
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.models import Role
from tests.e2e.accessibility import complaints
from tests.e2e.factories import Person, World
from tests.e2e.server import Server
from tests.e2e.visitors import BILLING, Visitors, billing_shown, button, region

TEAM = "/settings/team"
PASSWORD = "seven purple anvils sing"
NEW_PASSWORD = "violet trumpets over Antwerp"
INVITED = re.compile(r"^Invitation")


async def members_shown(page: Page) -> Locator:
    """Wait for the people of the team; return their region."""
    members = region(page, "Members")
    await expect(members.get_by_role("row").nth(1)).to_be_visible()
    return members


async def invite(page: Page, email: str, role: str) -> str:
    """Make an invitation, and return its link."""
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Role", exact=True).select_option(label=role)
    await button(page, "Create invitation").click()
    return await link_made(page)


async def link_made(page: Page) -> str:
    """Return the link that the page shows this once."""
    field = page.get_by_label("Link", exact=True)
    await expect(field).to_be_focused()
    await expect(field).not_to_have_value("")
    link = await field.input_value()
    assert "#" in link
    await button(page, "Dismiss").click()
    await expect(field).to_be_hidden()
    return link


async def sign_up(page: Page, name: str, password: str) -> None:
    """Fill in what an invitation asks somebody new for."""
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Password").fill(password)
    await button(page, "Join team").click()


async def with_password(world: World, owner: Person, role: Role = Role.MEMBER) -> str:
    """Return the e-mail of somebody new in the owner's team who has a password."""
    email = f"{owner.email.partition('@')[0]}-{role}@example.com"
    user = await create_user(world.services.database, email, PASSWORD, "Robin Reed")
    await add_member(world.services.database, owner.team_id, user.id, role)
    return email


async def test_who_is_invited_joins_in_another_browser_and_appears_on_the_owners_page(
    visitors: Visitors, world: World
) -> None:
    owner = await world.newcomer("Northwind Labs")
    page = await visitors.arrive(TEAM, owner)
    members = await members_shown(page)
    email = f"ada-{owner.email}"
    link = await invite(page, email, "Billing manager")
    await expect(region(page, "Invitations")).to_contain_text(email)
    await expect(page.get_by_label("E-mail")).to_have_value("")

    guest = await visitors.arrive(link)
    await expect(guest.get_by_role("heading", name="Join Northwind Labs")).to_be_visible()
    assert "#" not in guest.url
    await expect(guest.get_by_label("E-mail")).to_have_value(email)
    await sign_up(guest, "Ada", "password1")
    await expect(guest.get_by_role("alert")).to_contain_text("Many people use this password")
    await sign_up(guest, "Ada", PASSWORD)
    await billing_shown(guest)
    await expect(button(guest, f"Account: {email}")).to_be_visible()

    row = members.get_by_role("row").filter(has_text=email)
    await expect(row.get_by_label(f"Role of {email}")).to_have_value("billing_manager")
    await expect(region(page, "Invitations")).to_be_hidden()

    # Once only.
    late = await visitors.arrive(link)
    await expect(late.get_by_role("alert")).to_contain_text("This link has been used already.")


async def test_somebody_signed_in_accepts_with_one_button_and_switches_back(
    visitors: Visitors, world: World
) -> None:
    owner = await world.newcomer("Northwind Labs")
    page = await visitors.arrive(TEAM, owner)
    await members_shown(page)
    link = await invite(page, "", "Member")
    await expect(region(page, "Invitations")).to_contain_text("Whoever has the link")

    visitor = await world.newcomer("Bluefin Studio")
    first = await visitors.arrive(person=visitor)
    await billing_shown(first)
    await expect(first.get_by_role("banner")).to_contain_text("Bluefin Studio")
    second = await first.context.new_page()
    await second.goto(link)
    await button(second, "Accept invitation").click()
    await billing_shown(second)
    for each in (first, second):
        await expect(button(each, "Team: Northwind Labs")).to_be_visible()

    await button(second, "Team: Northwind Labs").click()
    await second.get_by_role("menuitem", name="Bluefin Studio").click()
    for each in (first, second):
        await expect(button(each, "Team: Bluefin Studio")).to_be_visible()
        await expect(each.get_by_text("for Bluefin Studio")).to_be_visible()


async def test_whom_an_invitation_is_for_signs_in_and_comes_back_to_it(
    visitors: Visitors, world: World
) -> None:
    owner, other = await world.newcomer("Northwind Labs"), await world.newcomer("Bluefin Studio")
    email = await with_password(world, other)
    page = await visitors.arrive(TEAM, owner)
    await members_shown(page)
    guest = await visitors.arrive(await invite(page, email, "Member"))
    await expect(region(guest, "Invitation")).to_contain_text(f"Sign in as {email} to accept.")
    await guest.get_by_role("link", name="Sign in").click()
    await guest.get_by_label("E-mail").fill(email)
    await guest.get_by_label("Password", exact=True).fill(PASSWORD)
    await button(guest, "Sign in").click()
    await button(guest, "Accept invitation").click()
    await billing_shown(guest)
    await expect(button(guest, "Team: Northwind Labs")).to_be_visible()


async def test_an_invitation_for_somebody_else_is_refused_and_a_broken_one_says_so(
    visitors: Visitors, world: World
) -> None:
    owner, other = await world.newcomer(), await world.newcomer()
    page = await visitors.arrive(TEAM, owner)
    await members_shown(page)
    link = await invite(page, "ada@example.com", "Owner")
    guest = await visitors.arrive(link, other)
    await expect(region(guest, "Invitation")).to_contain_text(
        f"This invitation is for ada@example.com. You are signed in as {other.email}."
    )
    await expect(button(guest, "Accept invitation")).to_be_hidden()
    await guest.goto(f"{link[:-2]}xx")
    await expect(guest.get_by_role("alert")).to_contain_text("This link isn't valid.")

    await button(page, "Withdraw invitation for ada@example.com").click()
    dialog = page.get_by_role("alertdialog", name="Withdraw the invitation for ada@example.com?")
    await button(page, "Withdraw").click()
    await expect(dialog).to_be_hidden()
    await guest.goto("/pricing")
    await guest.goto(link)
    await expect(guest.get_by_role("alert")).to_contain_text("This link was withdrawn.")


async def test_a_new_role_and_a_removal_show_at_once_on_the_others_open_page(
    visitors: Visitors, world: World
) -> None:
    owner = await world.subscriber("pro")
    member = await world.colleague(owner.team_id, Role.MEMBER)
    page = await visitors.arrive(TEAM, owner)
    members = await members_shown(page)
    theirs = await visitors.arrive(person=member)
    await billing_shown(theirs)
    await expect(button(theirs, "Manage Billing")).to_be_hidden()

    await members.get_by_label(f"Role of {member.email}").select_option(label="Billing manager")
    await expect(button(theirs, "Manage Billing")).to_be_visible()

    await button(page, f"Remove {member.email}").click()
    dialog = page.get_by_role("alertdialog", name=f"Remove {member.email}?")
    await expect(dialog).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(button(page, f"Remove {member.email}")).to_be_focused()
    await button(page, f"Remove {member.email}").click()
    await dialog.get_by_role("button", name="Remove").click()
    await expect(members.get_by_text(member.email)).to_be_hidden()
    await expect(page.get_by_role("heading", name="Team", exact=True)).to_be_focused()
    await expect(theirs.get_by_text("You are not in a team yet")).to_be_visible()
    await expect(theirs.get_by_text("Subscribers")).to_be_hidden()


async def test_the_last_owner_has_no_choice_and_a_member_no_buttons(
    visitors: Visitors, world: World
) -> None:
    owner = await world.newcomer()
    member = await world.colleague(owner.team_id, Role.MEMBER)
    page = await visitors.arrive(TEAM, owner)
    members = await members_shown(page)
    own = members.get_by_role("row").filter(has_text=owner.email)
    await expect(own).to_contain_text("Last owner")
    await expect(own.get_by_role("combobox")).to_have_count(0)
    await expect(own.get_by_role("button")).to_have_count(0)
    await expect(button(page, "Leave team")).to_be_hidden()

    theirs = await visitors.arrive(TEAM, member)
    seen = await members_shown(theirs)
    await expect(seen).to_contain_text(owner.email)
    await expect(seen.get_by_role("combobox")).to_have_count(0)
    await expect(region(theirs, "Invite a member")).to_be_hidden()
    await button(theirs, "Leave team").click()
    dialog = theirs.get_by_role("alertdialog", name="Leave Newcomers?")
    await dialog.get_by_role("button", name="Leave team").click()
    await expect(theirs.get_by_text("You are not in a team yet")).to_be_visible()
    await expect(members.get_by_text(member.email)).to_be_hidden()


async def test_a_password_link_lets_its_person_in_and_ends_their_sessions_at_once(
    visitors: Visitors, world: World
) -> None:
    owner = await world.newcomer()
    email = await with_password(world, owner)
    theirs = await visitors.arrive("/sign-in")
    await theirs.get_by_label("E-mail").fill(email)
    await theirs.get_by_label("Password", exact=True).fill(PASSWORD)
    await button(theirs, "Sign in").click()
    await billing_shown(theirs)

    page = await visitors.arrive(TEAM, owner)
    await members_shown(page)
    await button(page, f"Make a password link for {email}").click()
    link = await link_made(page)
    elsewhere = await visitors.arrive(link)
    await expect(elsewhere.get_by_label("E-mail")).to_have_value(email)
    await elsewhere.get_by_label("New password").fill(NEW_PASSWORD)
    await button(elsewhere, "Change password").click()
    await billing_shown(elsewhere)
    await expect(theirs).to_have_url(re.compile("/sign-in"))


async def test_my_sessions_are_ended_one_by_one_and_all_at_once(
    visitors: Visitors, world: World, server: Server
) -> None:
    owner = await world.newcomer()
    email = await with_password(world, owner)
    pages = []
    for _ in range(3):
        page = await visitors.arrive("/sign-in")
        await page.get_by_label("E-mail").fill(email)
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await button(page, "Sign in").click()
        await billing_shown(page)
        pages.append(page)
    here, second, third = pages
    await button(here, f"Account: {email}").click()
    await here.get_by_role("menuitem", name="Your account").click()
    rows = region(here, "Your sessions").get_by_role("listitem")
    await expect(rows).to_have_count(3)
    await expect(rows.first).to_contain_text("This session")
    await expect(rows.first).to_contain_text("Chrome on Linux")
    # The one that was in use last comes first.
    await rows.nth(1).get_by_role("button").click()
    await expect(rows).to_have_count(2)
    await expect(third).to_have_url(re.compile("/sign-in"))
    await expect(await billing_shown(second)).to_be_visible()

    await here.get_by_label("Present password").fill(PASSWORD)
    await here.get_by_label("New password").fill(NEW_PASSWORD)
    await button(here, "Change password").click()
    await expect(
        here.get_by_role("status").filter(has_text="Your password is changed")
    ).to_be_visible()
    await expect(second).to_have_url(re.compile("/sign-in"))
    await expect(rows).to_have_count(1)

    await button(here, "Sign out everywhere").click()
    dialog = here.get_by_role("alertdialog")
    await dialog.get_by_role("button", name="Sign out everywhere").click()
    await expect(here).to_have_url(re.compile("/sign-in"))
    await here.goto(BILLING)
    await expect(here).to_have_url(re.compile("/sign-in"))


async def test_a_password_that_the_operator_resets_ends_open_pages_at_once(
    visitors: Visitors, world: World, server: Server
) -> None:
    owner = await world.subscriber("pro")
    page = await visitors.arrive(person=owner)
    await billing_shown(page)
    command = [str(Path(sys.executable).with_name("billing-ui")), "users", "reset-password"]
    reset = await asyncio.create_subprocess_exec(
        *(*command, "--email", owner.email, "--password-stdin"),
        stdin=asyncio.subprocess.PIPE,
        env=server.environment,
        cwd=server.data,
    )
    await reset.communicate(f"{NEW_PASSWORD}\n".encode())
    assert reset.returncode == 0
    await expect(page).to_have_url(re.compile("/sign-in"))
    await expect(page.get_by_text("Subscribers")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_new_pages_have_nothing_to_complain_about(
    visitors: Visitors, world: World, scheme: str
) -> None:
    owner = await world.newcomer("Northwind Labs")
    for role in (Role.OWNER, Role.BILLING_MANAGER, Role.MEMBER):
        await with_password(world, owner, role)
    second = await create_team(world.services.database, "Bluefin Studio")
    await add_member(world.services.database, second.id, owner.user_id, Role.MEMBER)
    page = await visitors.arrive(TEAM, owner, color_scheme=scheme)
    await members_shown(page)
    await invite_and_keep(page)
    assert not await complaints(page)
    link = await page.get_by_label("Link", exact=True).input_value()
    await page.goto("/settings/account")
    await expect(region(page, "Your sessions").get_by_role("listitem").first).to_be_visible()
    assert not await complaints(page)
    guest = await visitors.arrive(link, color_scheme=scheme)
    await expect(button(guest, "Join team")).to_be_visible()
    assert not await complaints(guest)
    await guest.goto("/reset-password#altered")
    await expect(guest.get_by_role("alert")).to_be_visible()
    assert not await complaints(guest)
    await guest.goto("/invitation#altered")
    await expect(guest.get_by_role("alert")).to_be_visible()
    assert not await complaints(guest)


async def invite_and_keep(page: Page) -> None:
    """Make an invitation and leave its link on the page."""
    await page.get_by_label("E-mail").fill("sales@example.com")
    await button(page, "Create invitation").click()
    await expect(page.get_by_label("Link", exact=True)).not_to_have_value("")


async def test_no_frame_and_no_log_holds_the_token_of_a_link_that_was_opened(
    visitors: Visitors, world: World, server: Server
) -> None:
    owner = await world.newcomer()
    page = await visitors.arrive(TEAM, owner)
    await members_shown(page)
    link = await invite(page, "", "Member")
    token = link.partition("#")[2]
    guest = await visitors.profile()
    requested: list[str] = []
    guest.on("request", lambda request: requested.append(request.url))
    frames: list[str] = []
    guest.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda data: frames.append(str(data))),
    )
    await guest.goto(link)
    await expect(button(guest, "Join team")).to_be_visible()
    assert not any(token in each for each in (*requested, *frames))
    assert token not in server.log.read_text(errors="replace")
    assert await identify(world.services.database, owner.token) is not None
