"""The table of routes as an OpenAPI 3.1 document; shapes come from the classes, bounds and all."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from orgloop.http.app import shapes
from orgloop.http.app.route import Route

Schema = dict[str, Any]

_REF = "#/components/schemas/{name}"
_USUAL = {
    400: "A parameter, or the body, is not as it must be; `where` names it.",
    401: "The token is missing, or is another.",
    403: "Host or Origin is not one of ours.",
}
_MEANING = {
    404: "What was named is not there.",
    412: "The module has another generation.",
    409: "It stands in the way of what is.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The configuration has faults; nothing was changed.",
    501: "Whoever runs this runtime does not offer it.",
    503: "Not now; `Retry-After` says when.",
}


@lru_cache(maxsize=1)
def document(table: tuple[Route, ...]) -> Schema:
    """The document; made once."""
    kinds = [*_kinds(table), shapes.Fault, shapes.OriginalFault]
    made, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    schemas = dict(zip(map(repr, kinds), made, strict=True))
    paths: dict[str, Schema] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OrgLoop",
            "version": version("orgloop"),
            "description": "The runtime's interface. `orgloop token` prints the token.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _kinds(table: Iterable[Route]) -> list[Any]:
    """Every class that the table names, once."""
    kinds = {
        repr(kind): kind for route in table for kind in (route.answer, route.query, route.body) if kind is not None
    }
    return list(kinds.values())


def _operation(route: Route, schemas: dict[str, Schema], components: dict[str, Schema]) -> Schema:
    operation: Schema = {
        "operationId": route.name,
        "summary": route.about,
        "responses": _responses(route, schemas),
    }
    if not route.needs_token:
        operation["security"] = []
    parameters = [*_places(route), *_query(route, schemas, components), *_headers(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        required = bool(_resolved(schemas[repr(route.body)], components).get("required"))
        operation["requestBody"] = {
            "required": required,
            "content": {"application/json": {"schema": schemas[repr(route.body)]}},
        }
    return operation


def _places(route: Route) -> Iterable[Schema]:
    for name in route.places:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": 200}}


def _query(route: Route, schemas: dict[str, Schema], components: dict[str, Schema]) -> Iterable[Schema]:
    schema = _resolved(schemas[repr(route.query)], components)
    for name, member in schema.get("properties", {}).items():
        texts = [one["description"] for one in (member, *member.get("anyOf", ())) if "description" in one]
        described = {"description": texts[0]} if texts else {}
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": {key: value for key, value in member.items() if key != "description"},
            **described,
        }


def _headers(route: Route) -> Iterable[Schema]:
    for name, about in route.headers:
        yield {"name": name, "in": "header", "required": False, "description": about, "schema": {"type": "string"}}


def _resolved(schema: Schema, components: dict[str, Schema]) -> Schema:
    name = schema.get("$ref", "").rpartition("/")[2]
    return components[name] if name else schema


def _responses(route: Route, schemas: dict[str, Schema]) -> Schema:
    answer = {"description": route.about, "content": {route.media_type: {"schema": schemas[repr(route.answer)]}}}
    is_original = route.path.startswith("/control/") or (
        route.path.startswith("/api/") and not route.path.startswith("/api/v1/")
    )
    fault = schemas[repr(shapes.OriginalFault if is_original else shapes.Fault)]
    usual = [status for status in _USUAL if route.needs_token or status != 401]
    faults = [*usual, *([415] if route.body is not None else []), *route.faults]
    responses: Schema = {str(route.status): answer}
    for status in sorted(set(faults)):
        text = {**_USUAL, **_MEANING}[status]
        # The walls stand before the application, and answer with one sentence.
        schema = (
            {"type": "object", "properties": {"error": {"type": "string"}}} if status in (401, 403, 413, 415) else fault
        )
        responses[str(status)] = {
            "description": f"{HTTPStatus(status).phrase}. {text}",
            "content": {"application/json": {"schema": schema}},
        }
    return responses
