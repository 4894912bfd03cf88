"""What the documents say of settings, commands, metrics and the API is what the program has."""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
import typer
from pydantic import BaseModel, SecretStr
from typer.core import TyperGroup

from billing_ui.api.app import create_api
from billing_ui.api.errors import STATUS, Code, Problem, envelope, problem_of
from billing_ui.api.health import Readiness
from billing_ui.api.openapi import describe
from billing_ui.api.schemas import (
    BillingState,
    EntryLink,
    MakeEntryLink,
    OpenPortal,
    ProvisionTeam,
    Success,
)
from billing_ui.billing.services import Services
from billing_ui.cli import app as command_line
from billing_ui.payments import types
from billing_ui.payments.types import SubscriptionState
from billing_ui.settings import Settings, get_settings

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
DOCUMENTS = [README, *sorted(DOCS.glob("*.md"))]


def rows(document: Path, heading: str, table: int = 0) -> list[list[str]]:
    """Return the cells of a table below a heading, without its head."""
    text = document.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)[table].splitlines()[2:]
    # A bar within code is no border.
    cells = (re.findall(r"((?:`[^`]*`|[^|`])*)\|", line.removeprefix("|")) for line in lines)
    return [[cell.strip() for cell in row] for row in cells]


def blocks(document: Path, language: str) -> list[str]:
    """Return the blocks of code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


# ---------------------------------------------------------------- settings


def test_each_default_is_the_one_that_is_documented() -> None:
    # A default that is worked out stands there in words.
    unset: tuple[object, ...] = ("", (), None, SecretStr(""))
    documented = {name.strip("`").lower(): default for name, default, _ in rows(README, "Settings")}
    for name, field in Settings.model_fields.items():
        if name in documented and field.default not in unset:
            assert documented[name] == f"`{field.default}`", name


# ---------------------------------------------------------------- commands


def options() -> dict[str, set[str]]:
    """Return the options of every command, by its whole name, such as "users create"."""
    return {
        name: {option for one in command.params for option in one.opts if option.startswith("--")}
        for name, command in _commands(typer.main.get_command(command_line))
    }


def _commands(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(command, TyperGroup):
        yield " ".join(path), command
        return
    for name, one in command.commands.items():
        yield from _commands(one, *path, name)


def test_every_command_is_documented_with_its_options() -> None:
    documented = {
        name.strip("`"): set(re.findall(r"--[a-z-]+", given))
        for name, given, _ in rows(DOCS / "operator.md", "Commands")
    }
    assert documented == options()


def test_every_command_that_is_shown_exists() -> None:
    known, shown = options(), [line for document in DOCUMENTS for line in _commands_in(document)]
    assert shown
    for line in shown:
        words = line.partition("#")[0].split()
        groups = {name.partition(" ")[0] for name in known}
        name = " ".join(words[:2]) if words[0] not in known else words[0]
        assert name in known or (name in groups and len(words) == 1), line
        assert set(re.findall(r"--[a-z-]+", line)) <= known.get(name, set()), line


def _commands_in(document: Path) -> Iterator[str]:
    fenced = r"^```.*?^```"
    text = document.read_text()
    code = re.findall(fenced, text, re.MULTILINE | re.DOTALL)
    rest = re.sub(fenced, "", text, flags=re.MULTILINE | re.DOTALL)
    code += re.findall(r"`([^`\n]+)`|^ {4}(\S.*)$", rest, re.MULTILINE)
    for line in "\n".join("".join(piece) for piece in code).splitlines():
        if found := re.match(r"(?:\.venv/bin/)?billing-ui ([a-z].*)", line):
            yield found[1]


# ---------------------------------------------------------------- the API


def test_every_address_is_documented_with_who_may_ask() -> None:
    api = create_api(lambda: pytest.fail("nothing is asked"), Readiness())
    documented = {}
    for addresses, by, *_ in rows(DOCS / "api.md", "Addresses"):
        for method, path in re.findall(r"`([A-Z]+) ([^`]+)`", addresses):
            documented[path, method.lower()] = {
                scheme for scheme, word in (("bearer", "token"), ("cookie", "cookie")) if word in by
            }
    described = {
        (path, method): {scheme for one in route.get("security", ()) for scheme in one}
        for path, methods in describe(api, [], "cookie")["paths"].items()
        for method, route in methods.items()
    }
    assert documented == described


def test_every_failure_is_documented_with_its_status() -> None:
    documented = {
        code.strip("`"): int(status) for code, status, _ in rows(DOCS / "api.md", "Failures")
    }
    assert documented == {code.value: status.value for code, status in STATUS.items()}


def test_each_error_of_a_provider_is_documented_with_its_answer() -> None:
    for names, _, said in rows(DOCS / "providers.md", "Errors"):
        for name in re.findall(r"`(\w+)`", names):
            kind = getattr(types, name)
            error = kind("stripe", "polar") if kind is types.ProviderMismatch else kind()
            code = problem_of(error).code
            assert said == "–" or f"{STATUS[code].value} `{code}`" in said, name


def test_every_status_of_a_subscription_is_documented() -> None:
    text = (DOCS / "api.md").read_text()
    [sentence] = re.findall(r"^`status` is (.*?)\.", text, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`([a-z_]+)`", sentence)) == {state.value for state in SubscriptionState}


def test_the_answers_shown_are_whole() -> None:
    [state, failure] = map(json.loads, blocks(DOCS / "api.md", "json"))
    [link] = map(json.loads, blocks(DOCS / "embedding.md", "json"))
    for model, shown in ((BillingState, state), (EntryLink, link)):
        assert shown == _as_sent(Success[model], shown)  # type: ignore[valid-type]
    problem = Problem(Code(failure["error"]["code"]), failure["error"]["message"])
    assert failure == json.loads(bytes(envelope(problem).body))


def test_the_requests_shown_are_accepted() -> None:
    bodies = re.findall(r"-d '(.*)'", README.read_text())
    requests = [block.split("\n\n", 1) for block in blocks(DOCS / "embedding.md", "http")]
    bodies += [body for _, body in requests]
    assert [head.split("\n")[0] for head, _ in requests] == [
        "PUT /api/teams/northwind",
        "POST /api/sessions",
    ]
    for model, body in zip((OpenPortal, ProvisionTeam, MakeEntryLink), bodies, strict=True):
        assert issubclass(model, BaseModel)
        model.model_validate(json.loads(body))


def _as_sent(model: type[BaseModel], answer: dict[str, Any]) -> Any:
    return model.model_validate(answer).model_dump(mode="json", by_alias=True)


# ---------------------------------------------------------------- metrics


async def test_every_metric_is_documented(sqlite_url: str) -> None:
    services = Services.open(Settings(_env_file=None, database_url=sqlite_url))
    transport = httpx.ASGITransport(create_api(lambda: services, Readiness()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        text = (await client.get("/metrics")).text
    await services.close()
    kinds = dict(re.findall(r"^# TYPE billing_ui_(\w+) (\w+)$", text, re.MULTILINE))
    documented = {name.strip("`"): kind for name, kind, *_ in rows(DOCS / "operator.md", "Metrics")}
    assert documented == kinds
    watched = " ".join(when for _, when, _ in rows(DOCS / "operator.md", "Metrics", table=1))
    names = kinds.keys() | {f"{name}_{part}" for name in kinds for part in ("bucket", "count")}
    assert set(re.findall(r"billing_ui_(\w+)", watched)) <= names


# ---------------------------------------------------------------- the driver


async def test_the_python_example_opens_a_portal(
    sandbox_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_documented")
    monkeypatch.setenv("STRIPE_API_BASE", sandbox_url)
    get_settings.cache_clear()
    headers = {"Authorization": "Bearer sk_test_documented"}
    async with httpx.AsyncClient(
        base_url=sandbox_url, headers=headers, trust_env=False
    ) as provider:
        customer = (await provider.post("/v1/customers", data={"name": "Acme"})).json()["id"]
        product = (await provider.post("/v1/products", data={"name": "Pro"})).json()["id"]
        price = {"product": product, "currency": "usd", "unit_amount": "100"}
        await provider.post("/v1/prices", data=price | {"recurring[interval]": "month"})
    [example] = blocks(README, "python")
    led_to: list[str] = []
    names: dict[str, Any] = {
        "team": SimpleNamespace(id=uuid4(), stripe_customer_id=customer),
        "redirect": led_to.append,
    }
    exec(f"async def example():\n{textwrap.indent(example, '    ')}", names)
    try:
        await names["example"]()
    finally:
        get_settings.cache_clear()
    assert [url.startswith(sandbox_url) for url in led_to] == [True]
