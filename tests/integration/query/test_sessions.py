"""The browser's session: a cookie that scripts cannot read and other sites cannot use."""

import asyncio

import pytest

from config.settings import ApiSettings, Settings
from query.auth.sessions import Sessions
from query.auth.tokens import Principal
from tests.support.querying import make_token, query_server

SESSION = "/api/v1/session"
OWN = {"X-Opslog-Viewer": "1"}


async def login(server, token="", **headers):
    return await server.client.post(
        SESSION, headers={"Authorization": f"Bearer {token or server.token}", **OWN, **headers}
    )


def cookie_of(response):
    return response.headers["Set-Cookie"]


async def test_a_token_is_exchanged_for_a_cookie_with_the_same_rights(server):
    response = await login(server, make_token("NOC", sub="jane"))

    session = await response.json()
    assert response.status == 200
    assert (session["subject"], session["role"], session["permissions"]) == (
        "jane",
        "NOC",
        ["logs.read"],
    )
    assert "HttpOnly" in cookie_of(response)
    assert "SameSite=Strict" in cookie_of(response)
    assert "Path=/" in cookie_of(response)
    shown = await server.client.get(SESSION, headers=OWN)
    assert await shown.json() == session
    assert (await server.client.get("/api/v1/logs", headers=OWN)).status == 200
    assert (await server.client.get("/api/v1/logs/export")).status == 403  # NOC may not
    assert server.accesses[-1].subject == "jane"


async def test_without_token_or_cookie_nobody_is_there(server):
    assert (await server.client.get(SESSION)).status == 401
    assert (await server.client.post(SESSION)).status == 401


async def test_a_logout_ends_the_session_for_whoever_holds_the_cookie(server):
    value = cookie_of(await login(server)).split(";")[0]

    ended = await server.client.delete(SESSION, headers=OWN)

    assert ended.status == 204
    assert 'opslog=""' in cookie_of(ended)
    stolen = await server.client.get("/api/v1/logs", headers={"Cookie": value})
    assert stolen.status == 401


CROSS = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]


@pytest.mark.parametrize("headers", CROSS, ids=str)
async def test_other_sites_cannot_use_the_cookie(server, headers):
    await login(server)

    for method, path in (
        ("GET", "/api/v1/logs"),
        ("DELETE", SESSION),
        ("POST", "/api/v1/redaction/test"),
    ):
        response = await server.client.request(method, path, headers={**OWN, **headers})
        assert response.status == 403, (method, path)


async def test_changes_by_cookie_need_a_header_that_forms_cannot_send(server):
    await login(server)
    body = {"text": "x"}

    assert (await server.client.post("/api/v1/redaction/test", json=body)).status == 403
    response = await server.client.post("/api/v1/redaction/test", json=body, headers=OWN)
    assert response.status == 200


async def test_a_forged_or_changed_cookie_is_nobody(server):
    value = cookie_of(await login(server)).split(";")[0]
    name, _, text = value.partition("=")
    forged = Sessions(b"x" * 32, Ends()).begin(
        Principal("eve", "SUPER_ADMIN", frozenset(), 2e9, "t")
    )
    server.client.session.cookie_jar.clear()

    for bad in (
        text[:-2],
        "A" + text[1:],
        forged,
        "%%%",
        "é",
        "",
        "x" * 9000 if False else "x" * 5000,
    ):
        response = await server.client.get(
            "/api/v1/logs", headers={"Cookie": f"{name}={bad}".encode().decode("latin-1")}
        )
        assert response.status == 401, bad[:20]


async def test_behind_a_trusted_proxy_with_tls_the_cookie_is_secure(database, reader_pool):
    settings = Settings(api=ApiSettings(trusted_proxies=["127.0.0.0/8"]))
    async with query_server(database.dsn, reader_pool, settings=settings) as server:
        response = await login(server, **{"X-Forwarded-Proto": "https"})
        plain = await login(server)

    assert cookie_of(response).startswith("__Host-opslog=")
    assert "Secure" in cookie_of(response)
    assert "Secure" not in cookie_of(plain)


async def test_a_proxy_that_is_not_trusted_makes_nothing_secure(server):
    assert "Secure" not in cookie_of(await login(server, **{"X-Forwarded-Proto": "https"}))


class Ends(dict):
    """Logouts in memory."""

    def ended_s(self, token):
        return self[token].ended_s if token in self else 0.0

    def end(self, token, end):
        self[token] = end


async def test_a_session_ends_with_its_token():
    sessions = Sessions(b"k" * 32, Ends())

    assert sessions.find(sessions.begin(Principal("a", "NOC", frozenset(), 1.0, "t"))) is None
    lasting = sessions.begin(Principal("a", "NOC", frozenset(), 2e10, "t", modules=("m",)))
    assert sessions.find(lasting).modules == ("m",)
    sessions.end(lasting)
    sessions.end("nonsense")
    assert sessions.find(lasting) is None


async def test_after_a_logout_the_token_may_begin_a_new_session(server):
    await login(server)
    await server.client.delete(SESSION, headers=OWN)

    await login(server)

    assert (await server.client.get(SESSION, headers=OWN)).status == 200


async def test_a_logout_is_known_to_other_query_servers_and_after_a_restart(
    database, reader_pool, server
):
    """T23: an ended session must stay ended in the next process."""
    cookie = {"Cookie": cookie_of(await login(server)).split(";")[0]}
    async with query_server(database.dsn, reader_pool) as other:

        async def status(request):
            request.client.session.cookie_jar.clear()
            return (await request.client.get(SESSION, headers=cookie)).status

        assert await status(other) == 200
        await server.client.delete(SESSION, headers={**OWN, **cookie})
        assert await status(server) == 401
        async with asyncio.timeout(5):
            while await status(other) == 200:
                await asyncio.sleep(0.02)
        async with query_server(database.dsn, reader_pool) as restarted, asyncio.timeout(5):
            while await status(restarted) == 200:
                await asyncio.sleep(0.02)
