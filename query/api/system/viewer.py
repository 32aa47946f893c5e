"""The page: the built files of ui/, from a fixed map made at the start. No path reaches a folder.

Names under /assets/ hold a hash of their content, so they are kept for good; compressed forms lie
beside each file and are sent as they are.
"""

import hashlib
import mimetypes
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

from query.api.http.call import Call
from query.api.http.compression import takes
from query.errors import NotFound

_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'; require-trusted-types-for 'script'"
)
_CODINGS = (("br", ".br"), ("gzip", ".gz"))
_FOR_GOOD = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class File:
    """One file and its compressed forms."""

    content_type: str
    raw: bytes
    coded: dict[str, bytes]
    tag: str


def static_files() -> dict[str, File]:
    """Every file of query/static, by its path below it; nothing when the page was not built."""
    root = files("query").joinpath("static")
    return dict(_walk(root, "")) if root.is_dir() else {}


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    for item in folder.iterdir():
        name = f"{prefix}{item.name}"
        if item.is_dir():
            found += _walk(item, f"{name}/")
        elif not name.endswith(tuple(ending for _, ending in _CODINGS)):
            found.append((name, _file(folder, item)))
    return found


def _file(folder: Traversable, item: Traversable) -> File:
    raw = item.read_bytes()
    coded = {
        coding: folder.joinpath(item.name + ending).read_bytes()
        for coding, ending in _CODINGS
        if folder.joinpath(item.name + ending).is_file()
    }
    ending = item.name[item.name.rfind(".") :]
    kind = _TYPES.get(ending) or mimetypes.guess_type(item.name)[0] or "application/octet-stream"
    text = "; charset=utf-8" if kind.startswith("text/") else ""
    return File(kind + text, raw, coded, hashlib.sha256(raw).hexdigest()[:32])


class PageFiles:
    """Answers with files of the page."""

    def __init__(self, found: dict[str, File]) -> None:
        self._files = found

    async def index(self, call: Call) -> web.Response:
        """GET /."""
        return self._answer(call, "index.html", "no-cache")

    async def icon(self, call: Call) -> web.Response:
        """GET /favicon.svg."""
        return self._answer(call, "favicon.svg", "public, max-age=86400")

    async def asset(self, call: Call) -> web.Response:
        """GET /assets/{name}."""
        return self._answer(call, f"assets/{call.request.match_info['name']}", _FOR_GOOD)

    def _answer(self, call: Call, name: str, keep: str) -> web.Response:
        file = self._files.get(name)
        if file is None:
            raise NotFound("the page has no such file")
        headers = {
            "Cache-Control": keep,
            "Content-Security-Policy": _POLICY,
            "Content-Type": file.content_type,
            "ETag": f'"{file.tag}"',
            "Vary": "Accept-Encoding",
        }
        if any(seen.value == file.tag for seen in call.request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        for coding, body in file.coded.items():
            if takes(call.request, coding):
                headers["Content-Encoding"] = coding
                return web.Response(body=body, headers=headers)
        return web.Response(body=file.raw, headers=headers)
