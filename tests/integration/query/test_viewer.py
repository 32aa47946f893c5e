"""The page is served from a fixed map, compressed, kept for good where its name says what it is."""

import pytest

from query.api.system.viewer import File, ViewerRoutes, static_files


async def test_the_page_is_served_with_a_strict_policy(server):
    answer = await server.get("/", token=None)

    assert answer.status == 200
    assert answer.content_type == "text/html"
    assert answer.headers["Cache-Control"] == "no-cache"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    again = await server.client.get("/", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


@pytest.mark.parametrize(
    ("coding", "sent"), [("gzip, br", "br"), ("gzip", "gzip"), ("identity", None)]
)
async def test_files_come_compressed_as_they_lie(server, coding, sent):
    name = next(
        name for name in static_files() if name.startswith("assets/") and name.endswith(".js")
    )

    answer = await server.client.get(
        f"/{name}", headers={"Accept-Encoding": coding}, auto_decompress=False
    )

    assert answer.status == 200
    assert answer.headers.get("Content-Encoding") == sent
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["Cache-Control"]
    file = static_files()[name]
    assert await answer.read() == (file.raw if sent is None else file.encoded[sent])


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

    answer = await server.client.get(URL(path, encoded=True))

    assert answer.status == 404


def test_without_a_built_page_there_is_none():
    assert ViewerRoutes({})._files == {}
    assert File("text/plain", b"", {}, "").encoded == {}
