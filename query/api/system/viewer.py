"""The web viewer, the files built from ui/: handlers, routes.

Files are loaded into a map at startup, so no request path reaches the file system. Names under
/assets/ include a hash of their content, so clients cache them forever; precompressed variants
are stored next to each file.
"""

import hashlib
import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

from query.api.http.call import Call, Route
from query.api.http.compression import accepts
from query.errors import NotFound

_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'; require-trusted-types-for 'script'"
)
_CODINGS = (("br", ".br"), ("gzip", ".gz"))
_IMMUTABLE = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class File:
    """One file and its precompressed variants."""

    content_type: str
    raw: bytes
    encoded: dict[str, bytes]
    tag: str


def static_files() -> dict[str, File]:
    """Every file of query/static by its relative path; empty if the viewer was not built."""
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
    encoded = {
        coding: folder.joinpath(item.name + ending).read_bytes()
        for coding, ending in _CODINGS
        if folder.joinpath(item.name + ending).is_file()
    }
    ending = item.name[item.name.rfind(".") :]
    kind = _TYPES.get(ending) or mimetypes.guess_type(item.name)[0] or "application/octet-stream"
    text = "; charset=utf-8" if kind.startswith("text/") else ""
    return File(kind + text, raw, encoded, hashlib.sha256(raw).hexdigest()[:32])


class ViewerRoutes:
    """The routes that serve the viewer's files."""

    def __init__(self, found: dict[str, File]) -> None:
        self._files = found

    def routes(self) -> Iterable[Route]:
        """Page, icon, assets."""
        for path, handler, summary, media in (
            ("/", self.index, "The web viewer", "text/html"),
            ("/favicon.svg", self.icon, "Its icon", "image/svg+xml"),
            ("/assets/{name}", self.asset, "Its files", "*/*"),
        ):
            yield Route(
                method="GET",
                path=path,
                handler=handler,
                permission=None,
                tag="viewer",
                summary=summary,
                media=(media,),
            )

    async def index(self, call: Call) -> web.Response:
        """GET /."""
        return self._response(call, "index.html", "no-cache")

    async def icon(self, call: Call) -> web.Response:
        """GET /favicon.svg."""
        return self._response(call, "favicon.svg", "public, max-age=86400")

    async def asset(self, call: Call) -> web.Response:
        """GET /assets/{name}."""
        return self._response(call, f"assets/{call.request.match_info['name']}", _IMMUTABLE)

    def _response(self, call: Call, name: str, cache_control: str) -> web.Response:
        file = self._files.get(name)
        if file is None:
            raise NotFound("No such file")
        headers = {
            "Cache-Control": cache_control,
            "Content-Security-Policy": _POLICY,
            "Content-Type": file.content_type,
            "ETag": f'"{file.tag}"',
            "Vary": "Accept-Encoding",
        }
        if any(seen.value == file.tag for seen in call.request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        for coding, body in file.encoded.items():
            if accepts(call.request, coding):
                headers["Content-Encoding"] = coding
                return web.Response(body=body, headers=headers)
        return web.Response(body=file.raw, headers=headers)
