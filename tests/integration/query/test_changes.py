"""Ingest keys over the API, and the redaction preview: recorded before they are made."""

import json

import pytest

from query.api.operations.keys import CreatedKey, Key
from query.api.operations.redaction import RedactionPreview
from storage.access.ingest_keys import digest_of
from tests.support.querying import make_token

KEYS = "/api/v1/ingest/keys"


async def send(server, method, path, body=None, token=""):
    headers = {"Authorization": f"Bearer {token or server.token}"}
    return await server.client.request(method, path, json=body, headers=headers)


async def test_a_key_is_created_listed_rotated_and_revoked(server, owner_pool):
    body = {
        "name": "shop",
        "rights": ["logs"],
        "attributes": {"team": "a"},
        "minLevel": "warn",
        "expiresAt": "2030-01-01T00:00:00Z",
        "recordsPerS": 10,
    }
    created = await send(server, "POST", KEYS, body)

    response = CreatedKey.model_validate_json(await created.text())
    assert created.status == 201
    assert (response.name, response.rights, response.min_level, response.created_by) == (
        "shop", ["logs"], "WARN", "tester",
    )  # fmt: skip
    assert await owner_pool.fetchval(
        "SELECT true FROM ingest_keys WHERE key_hash = $1", digest_of(response.key)
    )
    listed = await (await send(server, "GET", KEYS)).json()
    assert [Key.model_validate(item).name for item in listed["data"]] == ["shop"]
    assert response.key not in json.dumps(listed)
    renewed = await send(server, "POST", f"{KEYS}/shop/rotate", {"graceS": 0})
    assert renewed.status == 201
    assert (await renewed.json())["key"] != response.key
    ended = await send(server, "DELETE", f"{KEYS}/shop")
    assert await ended.json() == {"revoked": 1}
    assert (await (await send(server, "GET", KEYS)).json())["data"] == []
    revoked = await (await send(server, "GET", f"{KEYS}?revoked=true")).json()
    assert len(revoked["data"]) == 2
    recorded = [(item.action, item.outcome.value, item.query) for item in server.accesses]
    assert recorded[0] == ("keys.create", "success", "name=shop rights=logs")
    assert ("keys.rotate", "success", "name=shop&graceS=0") in recorded
    assert ("keys.revoke", "success", "name=shop") in recorded
    assert response.key not in str(server.accesses)


BAD = [
    ("POST", KEYS, {}, 400, "name"),
    ("POST", KEYS, {"name": ""}, 400, "name"),
    ("POST", KEYS, {"name": "a", "rights": ["all"]}, 400, "rights.0"),
    ("POST", KEYS, {"name": "a", "rights": []}, 400, "rights"),
    ("POST", KEYS, {"name": "a", "colour": 1}, 400, "colour"),
    ("POST", KEYS, {"name": "a", "minLevel": "loud"}, 400, "minLevel"),
    ("POST", KEYS, {"name": "a", "recordsPerS": 0}, 400, "recordsPerS"),
    ("POST", KEYS, {"name": "a", "expiresAt": "2030-01-01T00:00:00"}, 400, "expiresAt"),
    ("POST", KEYS, {"name": "a", "bytesPerS": 2**70}, 400, "bytesPerS"),
    ("POST", KEYS, {"name": "a", "attributes": {"a\0": 1}}, 400, "body"),
    ("POST", KEYS, {"name": "a", "attributes": {"a": 2**64}}, 400, "attributes"),
    ("POST", KEYS, {"name": "a", "expiresAt": "0001-01-01T00:00:00+14:00"}, 400, "expires_at"),
    ("POST", KEYS, {"name": "a", "expiresAt": "9999-12-31T23:59:59-14:00"}, 400, "expires_at"),
    ("POST", KEYS, {"name": "a\u202e"}, 400, "name"),
    ("POST", KEYS, [1], 400, "body"),
    ("POST", f"{KEYS}/none/rotate", {}, 404, None),
    ("POST", f"{KEYS}/none/rotate", {"graceS": -1}, 400, "graceS"),
    ("DELETE", f"{KEYS}/none", None, 404, None),
    ("GET", f"{KEYS}?colour=1", None, 400, "colour"),
    ("GET", f"{KEYS}?revoked=x", None, 400, "revoked"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: f"{case[0]} {case[1][15:]} {case[2]}")
async def test_invalid_bodies_are_rejected_by_member(server, case):
    method, path, body, status, where = case

    response = await send(server, method, path, body)

    problem = await response.json()
    assert response.status == status, problem
    if where:
        assert problem["errors"][0]["parameter"] == where


async def test_a_name_in_force_is_taken(server):
    await send(server, "POST", KEYS, {"name": "a"})

    assert (await send(server, "POST", KEYS, {"name": "a"})).status == 409


async def test_a_change_that_cannot_be_recorded_is_refused(server, owner_pool):
    server.switches.audit_fails = True

    response = await send(server, "POST", KEYS, {"name": "a"})

    assert response.status == 503
    assert await owner_pool.fetchval("SELECT count(*) FROM ingest_keys") == 0


async def test_redaction_preview_stores_nothing(server, caplog):
    secret = "AKIAIOSFODNN7EXAMPLE"
    response = await send(server, "POST", "/api/v1/redaction/test", {"text": f"key={secret}"})

    tried = RedactionPreview.model_validate_json(await response.text())
    assert secret not in tried.result
    assert tried.hits
    nested = {"attributes": {"password": "hunter3", "a": {"b": [1, "x"]}}}
    response = await send(server, "POST", "/api/v1/redaction/test", nested, make_token("ADMIN"))
    result = (await response.json())["result"]
    assert result["a"] == {"b": [1, "x"]}
    assert "hunter3" not in json.dumps(result)
    assert {item.action for item in server.accesses} == {"redaction.test"}
    assert secret not in str(server.accesses) + caplog.text
    assert "hunter3" not in str(server.accesses) + caplog.text


@pytest.mark.parametrize(
    "body", [{}, {"text": "a", "attributes": {}}, {"text": 5}, {"x": "hunter3"}]
)
async def test_a_preview_accepts_a_text_or_attributes(server, body):
    response = await send(server, "POST", "/api/v1/redaction/test", body)

    assert response.status == 400
    assert "hunter3" not in await response.text()


async def test_a_preview_accepts_numbers_beyond_64_bits(server):
    response = await send(server, "POST", "/api/v1/redaction/test", {"attributes": {"a": 10**30}})

    assert (await response.json())["result"] == {"a": str(10**30)}


async def test_bodies_are_json_and_small(server):
    headers = {"Authorization": f"Bearer {server.token}"}
    for data, kind, status in (
        (b"text=x", "application/x-www-form-urlencoded", 400),
        (b"{", "application/json", 400),
        (b'{"text": "' + b"x" * 70_000 + b'"}', "application/json", 413),
    ):
        response = await server.client.post(
            "/api/v1/redaction/test", data=data, headers={**headers, "Content-Type": kind}
        )
        assert response.status == status
