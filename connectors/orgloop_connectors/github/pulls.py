"""
What GraphQL is asked: pull requests with their reviews, and the issues and pull requests that something is about.

What it says is brought into the shape of REST, so that there is one way from a thing to an event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from orgloop.sdk import PollFailed
from orgloop_connectors._github.api import Api
from orgloop_connectors._github.facts import is_subscribed
from orgloop_connectors._github.shapes import Drift, Thing, need, number_at, text_at, thing_at, things, time_at
from orgloop_connectors.github.cursor import Cursor, Fact
from orgloop_connectors.github.feeds import Down

PULLS_PER_PAGE = 50
REVIEWS_PER_PAGE = 100

MAX_REVIEW_PAGES = 20
"""How many more pages of reviews of one pull request are read."""

ABOUT_PER_QUESTION = 50
"""How many issues and pull requests are asked for at a time."""

_PULL = """
fragment pull on PullRequest {
  number title url state isDraft merged createdAt updatedAt closedAt headRefName baseRefName authorAssociation
  author { login __typename } mergedBy { login __typename } labels(first: 50) { nodes { name } }
}
"""
_REVIEWS = """
fragment reviewed on PullRequestReviewConnection {
  pageInfo { hasPreviousPage startCursor }
  nodes { fullDatabaseId state body submittedAt url authorAssociation author { login __typename } }
}
"""
PULLS = f"""
query Pulls($owner: String!, $name: String!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    pullRequests(first: {PULLS_PER_PAGE}, after: $after, orderBy: {{field: UPDATED_AT, direction: DESC}}) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{
        ...pull
        reviews(last: {REVIEWS_PER_PAGE}) {{ ...reviewed }}
        timelineItems(last: 20, itemTypes: [READY_FOR_REVIEW_EVENT]) {{
          nodes {{ ... on ReadyForReviewEvent {{ createdAt }} }}
        }}
      }}
    }}
  }}
}}
{_PULL}{_REVIEWS}"""
REVIEWS = f"""
query Reviews($owner: String!, $name: String!, $number: Int!, $before: String) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{ reviews(last: {REVIEWS_PER_PAGE}, before: $before) {{ ...reviewed }} }}
  }}
}}
{_REVIEWS}"""


async def pulls_down(
    api: Api, cursor: Cursor, below: str | None, _: str | None, *, wanted: frozenset[str]
) -> Down | None:
    """A page of pull requests, those that changed last first; GraphQL knows no ETags."""
    repository, at_s = await api.ask(PULLS, operation="Pulls", after=below)
    page = thing_at(repository, "pullRequests")
    nodes = things(need(page, "nodes"))
    found: list[Fact] = []
    for node in reversed(nodes):
        if time_at(node, "updatedAt") >= cursor.read_s:
            found += [fact for fact in await _facts(api, node, cursor) if is_subscribed(wanted, fact.kind)]
    more = thing_at(page, "pageInfo").get("hasNextPage") is True and bool(nodes)
    return Down(
        facts=found,
        oldest_s=time_at(nodes[-1], "updatedAt") if nodes else float("inf"),
        next=str(need(page, "pageInfo", "endCursor")) if more else None,
        at_s=at_s,
    )


async def _facts(api: Api, node: Thing, cursor: Cursor) -> list[Fact]:
    pull = pull_of(node)
    number = number_at(pull, "number")
    found = [Fact("pull_request.opened", f"pr-{number}-opened", time_at(node, "createdAt"), pull)]
    for ready in things(thing_at(node, "timelineItems").get("nodes")):
        ready_s = time_at(ready, "createdAt")
        found.append(Fact("pull_request.ready_for_review", f"pr-{number}-ready-{ready_s:.0f}", ready_s, pull))
    for said in await _reviews(api, node, cursor):
        if said.get("submittedAt"):  # else it is being written
            review = {**_review_of(said), "pull": pull}
            key, submitted_s = f"review-{number_at(review, 'id')}", time_at(said, "submittedAt")
            found.append(Fact("pull_request.review_submitted", key, submitted_s, review))
    if node.get("closedAt"):
        how = "merged" if pull["merged"] else "closed"
        closed_s = time_at(node, "closedAt")
        # It may be closed again, which is another fact.
        found.append(Fact(f"pull_request.{how}", f"pr-{number}-{how}-{closed_s:.0f}", closed_s, pull))
    return found


async def _reviews(api: Api, node: Thing, cursor: Cursor) -> list[Thing]:
    """The reviews of a pull request, back to the floor."""
    page = thing_at(node, "reviews")
    found = things(page.get("nodes"))
    for _ in range(MAX_REVIEW_PAGES):
        info, newest = thing_at(page, "pageInfo"), things(page.get("nodes"))
        dated = [time_at(said, "submittedAt") for said in newest if said.get("submittedAt")]
        if info.get("hasPreviousPage") is not True or (dated and min(dated) < cursor.floor_s):
            return found
        number, before = number_at(node, "number"), need(info, "startCursor")
        repository, _at_s = await api.ask(REVIEWS, operation="Reviews", number=number, before=before)
        page = thing_at(repository, "pullRequest", "reviews")
        found += things(page.get("nodes"))
    raise PollFailed(f"GitHub error: pull request {node.get('number')} has more new reviews than can be read")


async def ask_about(api: Api, numbers: Collection[int]) -> dict[int, Thing]:
    """The issues and pull requests of these numbers; one that is gone is its number, and nothing else."""
    about: dict[int, Thing] = {number: {"number": number} for number in numbers}
    ordered = sorted(about)
    for at in range(0, len(ordered), ABOUT_PER_QUESTION):
        repository, _ = await api.ask(about_query(ordered[at : at + ABOUT_PER_QUESTION]), operation="About")
        for number in ordered[at : at + ABOUT_PER_QUESTION]:
            if node := thing_at(repository, f"n{number}"):
                about[number] = pull_of(node) if text_at(node, "__typename") == "PullRequest" else _issue_of(node)
    return about


def about_query(numbers: Collection[int]) -> str:
    """The question for issues and pull requests by number."""
    asked = "\n".join(
        f"    n{number}: issueOrPullRequest(number: {number}) {{ __typename ...issue ...pull }}" for number in numbers
    )
    return f"""
query About($owner: String!, $name: String!) {{
  repository(owner: $owner, name: $name) {{
{asked}
  }}
}}
fragment issue on Issue {{
  number title url issueState: state authorAssociation
  author {{ login __typename }} labels(first: 50) {{ nodes {{ name }} }}
}}
{_PULL}"""


# -- into the shape of REST --------------------------------------------------------------------------------------------


def pull_of(node: Thing) -> dict[str, Any]:
    """A pull request, as REST would say it."""
    state = text_at(node, "state").lower()
    return _issue_of(node) | {
        "state": "closed" if state == "merged" else state,
        "merged": node.get("merged") is True,
        "merged_by": _user_of(node.get("mergedBy")),
        "draft": node.get("isDraft") is True,
        "head": {"ref": text_at(node, "headRefName")},
        "base": {"ref": text_at(node, "baseRefName")},
        "pull_request": {"html_url": text_at(node, "url")},
    }


def _issue_of(node: Thing) -> dict[str, Any]:
    return {
        "number": number_at(node, "number"),
        "title": text_at(node, "title"),
        "state": text_at(node, "issueState").lower(),
        "html_url": text_at(node, "url"),
        "user": _user_of(node.get("author")),
        "author_association": text_at(node, "authorAssociation"),
        "labels": list(_labels_of(node)),
    }


def _review_of(node: Thing) -> dict[str, Any]:
    return {
        "id": _whole(need(node, "fullDatabaseId")),
        "state": text_at(node, "state"),
        "body": text_at(node, "body"),
        "html_url": text_at(node, "url"),
        "user": _user_of(node.get("author")),
        "author_association": text_at(node, "authorAssociation"),
    }


def _whole(said: object) -> int:
    """GraphQL writes what has more than 32 bits as a text; the numbers of reviews have."""
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) < 20:
        return int(said)
    raise Drift(f"fullDatabaseId is {str(said)[:40]!r}, not a whole number")


def _labels_of(node: Thing) -> Iterator[dict[str, str]]:
    yield from ({"name": text_at(label, "name")} for label in things(thing_at(node, "labels").get("nodes")))


def _user_of(node: object) -> dict[str, str] | None:
    """GraphQL leaves out the ``[bot]`` that REST has."""
    if not isinstance(node, Mapping) or not text_at(node, "login"):
        return None
    login, kind = text_at(node, "login"), text_at(node, "__typename")
    return {"login": f"{login}[bot]" if kind == "Bot" and not login.endswith("[bot]") else login, "type": kind}
