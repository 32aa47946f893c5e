"""The viewer is served from a fixed map, compressed, immutable where names contain a hash."""

import pytest

from query.api.system.viewer import File, ViewerRoutes, static_files


async def test_the_viewer_is_served_with_a_strict_policy(server):
    response = await server.get("/", token=None)

    assert response.status == 200
    assert response.content_type == "text/html"
    assert response.headers["Cache-Control"] == "no-cache"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    again = await server.client.get("/", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


@pytest.mark.parametrize(
    ("coding", "sent"), [("gzip, br", "br"), ("gzip", "gzip"), ("identity", None)]
)
async def test_precompressed_files_are_served(server, coding, sent):
    name = next(
        name for name in static_files() if name.startswith("assets/") and name.endswith(".js")
    )

    response = await server.client.get(
        f"/{name}", headers={"Accept-Encoding": coding}, auto_decompress=False
    )

    assert response.status == 200
    assert response.headers.get("Content-Encoding") == sent
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in response.headers["Cache-Control"]
    file = static_files()[name]
    assert await response.read() == (file.raw if sent is None else file.encoded[sent])


@pytest.mark.parametrize(
    "path",
    [
        "/assets/..%2findex.html",
        "/assets/..%2f..%2f__init__.py",
        "/assets/%2e%2e/index.html",
        "/assets/a%00.js",
        "/assets/",
        "/assets//etc/passwd",
        "/static/index.html",
        "/index.html.br",
    ],
)
async def test_no_path_reaches_beyond_the_map(server, path):
    from yarl import URL

    response = await server.client.get(URL(path, encoded=True))

    assert response.status == 404


def test_without_a_built_viewer_there_are_no_files():
    assert ViewerRoutes({})._files == {}
    assert File("text/plain", b"", {}, "").encoded == {}
