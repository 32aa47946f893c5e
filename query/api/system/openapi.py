"""The API as an OpenAPI 3.1 document, generated from the route table. Pure.

Parameters come from query/planning/search.py, models from the groups of routes.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from query.api.http.call import Route
from query.api.http.models import Problem
from query.language.filter_parameters import FILTERS, Parameter
from query.language.names import ATTRIBUTE, RESOURCE
from query.planning.search import CONTROLS, MAX_REPEATS, Shape

Document: TypeAlias = dict[str, Any]

_REF = "#/components/schemas/{model}"
_PATH_VALUES = {
    "traceId": {"type": "string", "pattern": "^[0-9A-Fa-f-]{32,36}$"},
    "id": {"type": "string", "minLength": 1, "maxLength": 2048},
    "name": {"type": "string", "minLength": 1, "maxLength": 100},
}
_SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "session": {"type": "apiKey", "in": "cookie", "name": "opslog"},
}
_ERRORS = {
    "400": "Invalid parameter or body",
    "401": "A valid token is required",
    "403": "The token's role lacks the permission",
    "404": "Not found",
    "405": "Method not allowed",
    "409": "Conflict with the current state",
    "413": "Request too large",
    "429": "Too many concurrent queries",
    "500": "Internal error",
    "503": "Temporarily unavailable; retry after Retry-After seconds",
}


def openapi(table: Sequence[Route], version: str) -> Document:
    """The OpenAPI document of these routes."""
    used: list[type[BaseModel]] = [
        item for route in table for item in (route.response, route.body) if item is not None
    ]
    models: list[type[BaseModel]] = list(dict.fromkeys([*used, Problem]))
    _, schemas = models_json_schema(
        [(model, "serialization") for model in models], ref_template=_REF
    )
    paths: Document = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "opslog",
            "version": version,
            "description": "Records, traces and statistics of an opslog installation.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {}), "securitySchemes": _SECURITY},
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in table)],
    }


def _operation(route: Route) -> Document:
    is_open = route.permission is None and not route.needs_token
    found: Document = {
        "operationId": f"{route.method.lower()}{re.sub('[^a-zA-Z0-9]+', '_', route.path)}",
        "summary": route.summary,
        "description": _needs(route),
        "tags": [route.tag],
        "security": [] if is_open else [{name: []} for name in _SECURITY],
        "parameters": [*_path_parameters(route.path), *_query_parameters(route.parameters)],
        "responses": _responses(route),
    }
    if route.body is not None:
        schema = {"$ref": _REF.format(model=route.body.__name__)}
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return found


def _needs(route: Route) -> str:
    if route.permission is None:
        return "Requires a token." if route.needs_token else "Public."
    needs = f"Requires `{route.permission}`."
    if route.audit_permission:
        needs += f" `{route.audit_permission}` alone returns audit records only."
    return needs


def _path_parameters(path: str) -> Iterable[Document]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {"name": name, "in": "path", "required": True, "schema": _PATH_VALUES[name]}


def _query_parameters(shape: Shape | None) -> Iterable[Document]:
    if shape is None:
        return
    for name in shape.controls:
        yield _parameter(CONTROLS[name], repeats=name in {"kind", "field"})
    if shape.takes_filters:
        for parameter in FILTERS.values():
            yield _parameter(parameter, repeats=parameter.name != "minLevel")
        for prefix, what in (
            (ATTRIBUTE, "attribute"),
            (RESOURCE, "attribute of the resource"),
        ):
            # OpenAPI cannot describe parameters with arbitrary names: use an exploded object.
            yield {
                "name": prefix.rstrip("."),
                "in": "query",
                "description": f"`{prefix}<name>=<value>`: records whose {what} has this value",
                "style": "form",
                "explode": True,
                "schema": {
                    "type": "object",
                    "propertyNames": {"pattern": f"^{re.escape(prefix)}.+"},
                    "additionalProperties": {"type": "string"},
                    "maxProperties": 5,
                },
            }


def _parameter(parameter: Parameter, *, repeats: bool) -> Document:
    schema: Document = {"type": "string", **parameter.schema}
    if repeats:
        schema = {"type": "array", "items": schema, "maxItems": MAX_REPEATS}
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.text,
        "schema": schema,
        **({"style": "form", "explode": True} if repeats else {}),
    }


def _responses(route: Route) -> Document:
    good: Document = {"description": route.summary}
    if route.response is not None:
        good["content"] = {"application/json": {"schema": _schema(route.response)}}
    elif route.media:
        good["content"] = {kind: {"schema": {}} for kind in route.media}
    found: Document = {str(route.status): good}
    if route.method == "GET":
        found["304"] = {"description": "Not modified since the ETag in If-None-Match"}
    if route.response is not None and route.response.__name__ == "Readiness":
        found["503"] = good
    for status, text in _ERRORS.items():
        problem = {"application/problem+json": {"schema": _schema(Problem)}}
        found.setdefault(status, {"description": text, "content": problem})
    return found


def _schema(model: type[BaseModel]) -> Document:
    return {"$ref": _REF.format(model=model.__name__)}
