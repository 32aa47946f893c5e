"""Responses use a coding that the client accepts."""

import gzip
import json

import pytest
import zstandard

from tests.integration.query.test_search import record

DECODE = {
    "gzip": gzip.decompress,
    "zstd": lambda raw: zstandard.ZstdDecompressor().decompressobj().decompress(raw),
    None: bytes,
}


@pytest.mark.parametrize(
    ("taken", "coding"),
    [
        ("gzip", "gzip"),
        ("zstd, gzip", "zstd"),
        ("br;q=1.0, GZIP;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("*;q=0", None),
        ("identity", None),
        ("gzip;q=nonsense", None),
        ("", None),
    ],
)
async def test_responses_use_a_coding_that_the_client_accepts(store, server, taken, coding):
    await store.put(*(record(n, message=f"m{n}") for n in range(20)))

    response = await server.client.get(
        "/api/v1/logs",
        headers={"Authorization": f"Bearer {server.token}", "Accept-Encoding": taken},
        auto_decompress=False,
    )

    raw = await response.read()
    assert response.headers.get("Content-Encoding") == coding
    assert response.headers["Vary"] == "Accept-Encoding"
    assert int(response.headers["Content-Length"]) == len(raw)
    assert len(json.loads(DECODE[coding](raw))["data"]) == 20


async def test_short_responses_and_secrets_are_not_compressed(server):
    headers = {"Authorization": f"Bearer {server.token}", "Accept-Encoding": "gzip"}

    short = await server.client.get("/api/v1/logs", headers=headers, auto_decompress=False)
    created = await server.client.post(
        "/api/v1/ingest/keys", json={"name": "k"}, headers=headers, auto_decompress=False
    )

    assert (short.status, created.status) == (200, 201)
    assert "Content-Encoding" not in short.headers
    assert "Content-Encoding" not in created.headers
