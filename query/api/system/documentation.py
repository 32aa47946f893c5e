"""The API documentation, OpenAPI document and HTML page: handlers, routes.

The page has no scripts and loads nothing else.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Any

import orjson
from aiohttp import web

from query.api.http.call import Call, Route
from query.api.http.models import AnyObject
from query.api.system.openapi import openapi

_POLICY = (
    "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class DocumentationRoutes:
    """The routes that serve the documentation of all routes."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._document = b""
        self._page = b""

    def routes(self) -> Iterable[Route]:
        """OpenAPI document, HTML page."""
        yield Route(
            method="GET",
            path="/api/openapi.json",
            handler=self.document,
            permission=None,
            tag="documentation",
            summary="This API as an OpenAPI document",
            response=AnyObject,
        )
        yield Route(
            method="GET",
            path="/api/docs",
            handler=self.page,
            permission=None,
            tag="documentation",
            summary="This API as an HTML page",
            media=("text/html",),
        )

    def describe(self, table: Sequence[Route]) -> None:
        """Generate the documentation of these routes."""
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
    """The OpenAPI document as an HTML page."""
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
