"""The API as an OpenAPI 3.1 document, and as a page for people; both made from the one table.

Nothing is described by hand: parameters come from query/planning/search.py, models from query/api,
errors from the classes. The page has no script and needs nothing from elsewhere.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Any, TypeAlias

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from query.api.http.call import Call, Route
from query.api.models import Problem
from query.language.parameters import FILTERS, Parameter
from query.language.terms import ATTRIBUTE, RESOURCE
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
    "400": "A parameter or the body is not valid",
    "401": "A valid token is needed",
    "403": "The role of this token may not do that",
    "404": "Nothing is here",
    "405": "This address does not take that method",
    "409": "It is there already",
    "413": "The request is too large",
    "429": "Too many questions at a time",
    "500": "Something went wrong inside opslog",
    "503": "Not now: try again after Retry-After seconds",
}
_POLICY = (
    "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Description:
    """Answers with the description of the table that it was given."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._document = b""
        self._page = b""

    def of(self, table: Sequence[Route]) -> None:
        """Describe these routes."""
        document = openapi(table, self._version)
        self._document = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        self._page = docs_page(document).encode()

    async def document(self, _: Call) -> web.Response:
        """GET /api/openapi.json."""
        return web.Response(body=self._document, content_type="application/json")

    async def page(self, _: Call) -> web.Response:
        """GET /api/docs."""
        return web.Response(
            body=self._page,
            headers={
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": _POLICY.format(style=_STYLE_HASH),
            },
        )


def openapi(table: Sequence[Route], version: str) -> Document:
    """The document."""
    used: list[type[BaseModel]] = [
        item for route in table for item in (route.answer, route.body) if item is not None
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
            "description": "Records, traces and figures of an opslog installation.",
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
        return "Needs a token." if route.needs_token else "Open to everybody."
    needs = f"Needs `{route.permission}`."
    if route.audit_permission:
        needs += f" `{route.audit_permission}` alone reads audit records."
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
            # OpenAPI has no word for parameters with open names: an object, spread out.
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
    if route.answer is not None:
        good["content"] = {"application/json": {"schema": _schema(route.answer)}}
    elif route.media:
        good["content"] = {kind: {"schema": {}} for kind in route.media}
    found: Document = {str(route.status): good}
    if route.method == "GET":
        found["304"] = {"description": "Not changed since the ETag in If-None-Match"}
    if route.answer is not None and route.answer.__name__ == "Readiness":
        found["503"] = good
    for status, text in _ERRORS.items():
        problem = {"application/problem+json": {"schema": _schema(Problem)}}
        found.setdefault(status, {"description": text, "content": problem})
    return found


def _schema(model: type[BaseModel]) -> Document:
    return {"$ref": _REF.format(model=model.__name__)}


# ---- the page ----

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1f24;background:#fff}code,pre{font:14px/1.4 ui-monospace,monospace}"
    "h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}h3{margin:1.5rem 0 .25rem}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #d0d7de;padding:.25rem .5rem;"
    "text-align:left;vertical-align:top}details{margin:.5rem 0}"
    "pre{background:#f6f8fa;padding:.5rem;overflow:auto}@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}"
    "pre{background:#161b22}a{color:#79b8ff}td,th,h2{border-color:#30363d}}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()


def docs_page(document: Mapping[str, Any]) -> str:
    """The document as a page of HTML."""
    info = document["info"]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])} <a href='openapi.json'>OpenAPI document</a></p>",
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>")
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    parts.append(_operation_html(method, path, operation, document))
    return "".join([*parts, "</body></html>"])


def _operation_html(
    method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(item['name'])}</code></td><td>{escape(item['in'])}</td>"
        f"<td>{escape(item.get('description', ''))}</td></tr>"
        for item in operation["parameters"]
    )
    table = f"<table><tr><th>Parameter</th><th>in</th><th></th></tr>{rows}</table>" if rows else ""
    needs = re.sub("`([^`]+)`", r"<code>\1</code>", escape(operation["description"]))
    models = "".join(_model_html(name, document) for name in _models_of(operation))
    return (
        f"<h3 id='{escape(operation['operationId'])}'><code>{method.upper()} {escape(path)}</code>"
        f"</h3><p>{escape(operation['summary'])}. {needs}</p>{table}{models}"
    )


def _models_of(operation: Mapping[str, Any]) -> list[str]:
    good = next(iter(operation["responses"].values()))
    contents = [operation.get("requestBody", {}), good]
    schemas = [
        media["schema"]
        for content in contents
        for kind, media in content.get("content", {}).items()
        if kind == "application/json"
    ]
    return [schema["$ref"].rpartition("/")[2] for schema in schemas if "$ref" in schema]


def _model_html(name: str, document: Mapping[str, Any]) -> str:
    schema = document["components"]["schemas"][name]
    text = orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode()
    return f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"
