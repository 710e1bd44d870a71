"""
The table of routes: what is served, documented and tested, in the order of the documentation.

A line that no call answers is the door's own: it serves those before a request comes to this application.
"""

from __future__ import annotations

from orgloop.http.app import audit, configs, events, holds, inbox, letters, logs, modules, original, parts, whole
from orgloop.http.app.route import Route

FAMILIES: tuple[tuple[str, tuple[Route, ...]], ...] = (
    ("Runtime and modules", modules.ROUTES),
    ("Events", events.ROUTES),
    ("Sources, actors and routes", parts.ROUTES),
    ("Configuration", configs.ROUTES),
    ("Dead letters", letters.ROUTES),
    ("Inbox", inbox.ROUTES),
    ("Audit", (*audit.ROUTES, *holds.ROUTES)),
    ("Notices", logs.ROUTES),
    ("The whole", whole.ROUTES),
    ("The original's", original.ROUTES),
)

TABLE: tuple[Route, ...] = tuple(route for _, routes in FAMILIES for route in routes)
