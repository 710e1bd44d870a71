"""
Which route wants which event, and what a route says about it: pure functions over values, nothing waits.

>>> from orgloop.event import Event
>>> index = RouteIndex.of([Route(module="m", name="r", source="github", events=["resource.changed"], actor="agent")])
>>> event = Event("github", "resource.changed", {"platform": "github"}, module="m")
>>> [route.name for route in index.match("m", event)]
['r']
"""

# path       a dot path, and what it finds in an event
# match      when a wanted value and a found value match; routes; why a route matches or does not
# index      the routes that want an event, found without looking at the others
# template   {{ path }} in texts, filled in once

from orgloop.routing.index import RouteIndex
from orgloop.routing.match import Clause, Criterion, Route, explain, matches
from orgloop.routing.path import FIELDS, MISSING, Missing, Path, compile_path
from orgloop.routing.template import Template, compile_config, compile_template, render, render_config

__all__ = [
    "FIELDS",
    "MISSING",
    "Clause",
    "Criterion",
    "Missing",
    "Path",
    "Route",
    "RouteIndex",
    "Template",
    "compile_config",
    "compile_path",
    "compile_template",
    "explain",
    "matches",
    "render",
    "render_config",
]
