"""Answers come in a coding that the client takes."""

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
async def test_an_answer_is_in_a_coding_that_the_client_takes(store, server, taken, coding):
    await store.put(*(record(n, message=f"m{n}") for n in range(20)))

    answer = await server.client.get(
        "/api/v1/logs",
        headers={"Authorization": f"Bearer {server.token}", "Accept-Encoding": taken},
        auto_decompress=False,
    )

    raw = await answer.read()
    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert int(answer.headers["Content-Length"]) == len(raw)
    assert len(json.loads(DECODE[coding](raw))["data"]) == 20


async def test_a_short_answer_and_one_with_a_secret_are_not_compressed(server):
    headers = {"Authorization": f"Bearer {server.token}", "Accept-Encoding": "gzip"}

    short = await server.client.get("/api/v1/logs", headers=headers, auto_decompress=False)
    made = await server.client.post(
        "/api/v1/ingest/keys", json={"name": "k"}, headers=headers, auto_decompress=False
    )

    assert (short.status, made.status) == (200, 201)
    assert "Content-Encoding" not in short.headers
    assert "Content-Encoding" not in made.headers
