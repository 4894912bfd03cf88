"""Stripe's search language, as far as customers and subscriptions are found by it."""

import re

from billing_ui.sandbox.core.store import Condition
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

CLAUSE = re.compile(
    r"""\s*(?P<negated>-)?
    (?P<field>[a-z_.]+)(?:\[(?P<quote>["'])(?P<key>.*?)(?P=quote)\])?
    (?P<operator>:|~|<=|>=|<|>)
    (?:(?P<mark>["'])(?P<text>(?:\\.|(?!(?P=mark)).)*)(?P=mark)|(?P<word>[^\s"']+))\s*""",
    re.VERBOSE,
)


def results(account: Account, kind: str, params: Params, searchable: set[str]) -> Json:
    """Return a page of the objects a search finds; at once consistent, which Stripe's is not.

    Args:
        kind: The object name.
        params: With `query`, `limit` and the `page` the former answer named.
        searchable: The fields that may be searched, besides metadata.

    Raises:
        StripeError: The query or the page is not understood.
    """
    conditions = [parse(params["query"], searchable)]
    if "page" in params:
        place = account.store.position(params["page"])
        if place is None:
            raise StripeError("Invalid page.", param="page")
        conditions.append(Condition("(created, seq) < (?, ?)", place))
    limit = params.get("limit", 10)
    found = account.store.find(kind, conditions, limit=limit + 1)
    more = len(found) > limit
    return {
        "object": "search_result",
        "data": found[:limit],
        "has_more": more,
        "next_page": found[limit - 1]["id"] if more else None,
        "url": f"/v1/{kind}s/search",
    }


def parse(query: str, searchable: set[str]) -> Condition:
    """Return the condition a query such as `metadata['team_id']:'7' AND email~'acme'` means.

    Args:
        query: As the caller sent it.
        searchable: The fields that may be searched, besides metadata.

    Raises:
        StripeError: The query is not in the language, or names another field.
    """
    parts: list[str] = []
    arguments: list[str | int] = []
    joiners: set[str] = set()
    position = 0
    while True:
        clause = CLAUSE.match(query, position)
        if clause is None:
            raise StripeError(
                f"We were unable to parse your search query: {query}. "
                "See https://stripe.com/docs/search#search-query-language.",
                param="query",
            )
        condition = _condition(clause, searchable)
        parts.append(condition.sql)
        arguments += condition.arguments
        position = clause.end()
        if position >= len(query):
            break
        joiner = re.compile(r"(AND|OR)?\s*", re.IGNORECASE).match(query, position)
        word = (joiner.group(1) if joiner else None) or "AND"
        joiners.add(word.upper())
        position = joiner.end() if joiner else position
    if len(joiners) > 1:
        raise StripeError("You cannot combine AND and OR in one search query.", param="query")
    glue = f" {joiners.pop()} " if joiners else ""
    return Condition(f"({glue.join(parts)})", tuple(arguments))


def _condition(clause: re.Match[str], searchable: set[str]) -> Condition:
    field, key = clause["field"], clause["key"]
    if (field != "metadata" or key is None) and field not in searchable:
        raise StripeError(f"Field `{field}` is an unsupported search field.", param="query")
    path = f'$.metadata."{key}"' if field == "metadata" else f"$.{field}"
    value = clause["word"] if clause["text"] is None else re.sub(r"\\(.)", r"\1", clause["text"])
    number = int(value) if field == "created" and value.isdecimal() else value
    # The path is an argument, so that a key with a quote in it cannot leave its place.
    column = "created" if field == "created" else "json_extract(body, ?)"
    arguments: tuple[str | int, ...] = () if field == "created" else (path,)
    if value == "null" and clause["text"] is None:
        sql = f"{column} IS NULL"
    elif clause["operator"] == "~":
        sql, arguments = f"instr(lower({column}), lower(?)) > 0", (*arguments, value)
    elif clause["operator"] == ":":
        # Stripe compares text without regard to case.
        sql = f"{column} = ?" if field == "created" else f"lower({column}) = lower(?)"
        arguments = (*arguments, number)
    else:
        sql, arguments = f"{column} {clause['operator']} ?", (*arguments, number)
    return Condition(f"NOT coalesce({sql}, 0)" if clause["negated"] else sql, arguments)
