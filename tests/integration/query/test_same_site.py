"""Requests with the cookie behind a proxy: what another site may have caused is refused, all else works.

Every combination of what browsers and proxies send.
"""

from itertools import product

import pytest

from config.settings import ApiSettings, Settings
from tests.integration.query.test_sessions import OWN, login
from tests.support.querying import query_server

PUBLIC = "https://logs.example.com"
INNER = "opslog:8080"
"""The Host that a proxy sets."""
WRITE = "/api/v1/redaction/test"


def server_of(database, reader_pool, **api):
    """A query server with these settings."""
    settings = Settings(api=ApiSettings(**api))
    return query_server(database.dsn, reader_pool, settings=settings)


async def write(server, **headers):
    """The status of a change with the cookie."""
    sent = {**OWN, **{name.replace("_", "-"): value for name, value in headers.items() if value}}
    response = await server.client.post(WRITE, json={"text": "x"}, headers=sent)
    return response.status


@pytest.mark.parametrize("fetched_from", ["same-origin", "none"])
async def test_the_browser_s_own_judgement_counts(database, reader_pool, fetched_from):
    """Whatever Host the proxy sets, without any setting."""
    async with server_of(database, reader_pool) as server:
        await login(server)

        status = await write(server, Sec_Fetch_Site=fetched_from, Origin=PUBLIC, Host=INNER)

    assert status == 200


@pytest.mark.parametrize("fetched_from", ["same-site", "cross-site", "other", "SAME-ORIGIN"])
async def test_another_site_is_refused_whatever_else_is_sent(database, reader_pool, fetched_from):
    """With the right Origin and Host as well."""
    async with server_of(database, reader_pool, public_url=PUBLIC) as server:
        await login(server)
        for origin, host in product((None, PUBLIC), (None, "logs.example.com", INNER)):
            status = await write(server, Sec_Fetch_Site=fetched_from, Origin=origin, Host=host)
            assert status == 403, (origin, host)


OWN_ORIGINS = [
    ({"public_url": PUBLIC}, PUBLIC, INNER, None),
    ({"public_url": f"{PUBLIC}/opslog/"}, PUBLIC, INNER, None),
    ({"public_url": "https://LOGS.example.com:443"}, PUBLIC, INNER, None),
    ({}, PUBLIC, "logs.example.com", None),
    ({}, PUBLIC, "logs.example.com:443", None),
    ({}, PUBLIC, "LOGS.example.com", None),
    ({}, "http://logs.example.com", "logs.example.com:80", None),
    ({}, "http://logs.example.com:8443", "logs.example.com:8443", None),
    ({"trusted_proxies": ["127.0.0.0/8"]}, PUBLIC, INNER, "logs.example.com"),
    ({"trusted_proxies": ["127.0.0.0/8"]}, PUBLIC, INNER, "logs.example.com, opslog"),
    ({"trusted_proxies": ["127.0.0.0/8"]}, PUBLIC, INNER, "logs.example.com:443"),
    ({}, None, INNER, None),  # no browser
]


@pytest.mark.parametrize("case", OWN_ORIGINS, ids=str)
async def test_without_that_the_origin_is_compared(database, reader_pool, case):
    """With api.public_url, Host, and X-Forwarded-Host of trusted proxies."""
    api, origin, host, forwarded = case
    async with server_of(database, reader_pool, **api) as server:
        await login(server)

        assert await write(server, Origin=origin, Host=host, X_Forwarded_Host=forwarded) == 200


OTHER_ORIGINS = [
    ({}, PUBLIC, INNER, None),
    ({}, PUBLIC, INNER, "logs.example.com"),  # of a proxy that is not trusted
    ({"trusted_proxies": ["10.0.0.0/8"]}, PUBLIC, INNER, "logs.example.com"),
    ({"public_url": PUBLIC}, "http://logs.example.com", INNER, None),
    ({"public_url": PUBLIC}, "https://logs.example.com.evil.example", INNER, None),
    ({"public_url": PUBLIC}, "https://logs.example.com:444", INNER, None),
    ({}, "https://logs.example.com:8080", "logs.example.com", None),
    ({"public_url": PUBLIC}, "null", INNER, None),
    ({"public_url": PUBLIC}, "https://", INNER, None),
    ({"public_url": PUBLIC}, "https://[", INNER, None),
    ({"public_url": PUBLIC}, "x", "x", None),
    ({"public_url": PUBLIC}, "", INNER, None),
]


@pytest.mark.parametrize("case", OTHER_ORIGINS, ids=str)
async def test_another_origin_is_refused(database, reader_pool, case):
    """With the setting that helps behind a proxy."""
    api, origin, host, forwarded = case
    async with server_of(database, reader_pool, **api) as server:
        await login(server)
        sent = {**OWN, "Origin": origin, "Host": host}
        if forwarded:
            sent["X-Forwarded-Host"] = forwarded
        response = await server.client.post(WRITE, json={"text": "x"}, headers=sent)

        assert response.status == 403
        assert "api.public_url" in (await response.json())["detail"]


async def test_changes_need_the_viewer_s_header_behind_a_proxy_as_well(database, reader_pool):
    """A form of another site cannot send it."""
    async with server_of(database, reader_pool, public_url=PUBLIC) as server:
        await login(server)
        sent = {"Sec-Fetch-Site": "same-origin", "Origin": PUBLIC}
        response = await server.client.post(WRITE, json={"text": "x"}, headers=sent)

    assert response.status == 403


@pytest.mark.parametrize("url", ["logs.example.com", "ftp://x", "https://", "//x", "/opslog"])
def test_a_public_url_is_an_address(url):
    """The message shows one."""
    with pytest.raises(ValueError, match="is not an address like https"):
        ApiSettings(public_url=url)
