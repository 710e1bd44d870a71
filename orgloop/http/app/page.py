"""The table of routes as pages of Markdown: what stands in ``docs/http-api.md`` between its two marks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec

from orgloop.http.app import shapes
from orgloop.http.app.given import Nothing
from orgloop.http.app.route import Route
from orgloop.http.app.table import FAMILIES

BEGIN = "<!-- routes: made by python -m orgloop.http.app.page docs/http-api.md -->\n"
END = "<!-- end of routes -->\n"

_NAMES = {"str": "text", "dict[str, Any]": "object"}


def tables() -> str:
    """A heading and a table for each family of routes."""
    return "\n".join(f"### {title}\n\n{_table(routes)}" for title, routes in FAMILIES)


def _table(routes: tuple[Route, ...]) -> str:
    rows = "".join(
        f"| {route.method} | `{route.path}` | {_asked(route)} | {_answer(route)} | {_about(route)} |\n"
        for route in routes
    )
    return f"| method | path | takes | answers | |\n|---|---|---|---|---|\n{rows}"


def _asked(route: Route) -> str:
    query = [] if route.query is Nothing else [field.encode_name for field in msgspec.structs.fields(route.query)]
    shown = [f"`?{'&'.join(query)}`"] if query else []
    if route.body is not None and (fields := msgspec.structs.fields(route.body)):
        names = [field.encode_name if field.required else f"{field.encode_name}?" for field in fields]
        shown.append(f"`{{{', '.join(names)}}}`")
    return " ".join([*shown, *(name for name, _ in route.headers)])


def _answer(route: Route) -> str:
    name = route.answer.__name__ if route.answer.__class__ is type(shapes.Shape) else str(route.answer)
    name = re.sub(r"[a-z_]+\.|<class '|'>|Shape\b", "", name)
    shown = _NAMES.get(name, name)
    return shown if route.status == 200 else f"{route.status} {shown}"


def _about(route: Route) -> str:
    marks = [] if route.needs_token else ["no token"]
    marks += [str(status) for status in route.faults]
    return f"{route.about} ({', '.join(marks)})" if marks else route.about


def renewed(page: str) -> str:
    """A page with the tables as they are now; ValueError if it has not both marks."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page must hold {BEGIN!r}, and behind it {END!r}")
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    (path,) = map(Path, sys.argv[1:])
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
