"""Keys of an external issuer: fetched rarely, checked, redirects not followed."""

import asyncio
import json

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.errors import SetupError
from config.settings import AuthSettings
from query.auth.tokens import Verifier
from query.auth.verification_keys import InstallationKeys, IssuerKeys, _CheckedResolver
from query.errors import Unauthorized
from tests.support.querying import KEY_ID, OWN_KEY, make_token, public_pem, rsa_key

THEIR_KEY = rsa_key()


def jwk(key=THEIR_KEY, kid="theirs", **more):
    built = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {
        name: value for name, value in (built | {"kid": kid} | more).items() if value is not None
    }


class Issuer:
    """A web server that publishes keys, and counts requests."""

    def __init__(self):
        self.fetches = 0
        self.response = lambda: web.json_response({"keys": [jwk()]})

    async def serve(self, request):
        self.fetches += 1
        response = self.response()
        return await response if asyncio.iscoroutine(response) else response


@pytest.fixture
async def issuer():
    built = Issuer()
    app = web.Application()
    app.router.add_get("/{name}", built.serve)
    async with TestServer(app) as server:
        built.url = str(server.make_url("/jwks"))
        yield built


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def keys(issuer, clock):
    own = InstallationKeys({KEY_ID: public_pem(OWN_KEY)})
    return IssuerKeys(issuer.url, own, now_s=lambda: clock[0])


async def test_tokens_of_the_issuer_and_of_the_installation_are_valid(keys, issuer):
    verifier = Verifier(AuthSettings(), keys)

    await verifier.verify(make_token(key=THEIR_KEY, headers={"kid": "theirs"}))
    await verifier.verify(make_token())
    with pytest.raises(Unauthorized):
        await verifier.verify(make_token(key=THEIR_KEY, headers={"kid": KEY_ID}))
    with pytest.raises(Unauthorized):
        await verifier.verify(make_token(headers={"kid": "theirs"}))
    assert issuer.fetches == 1


async def test_unknown_key_ids_cause_one_fetch_a_minute(keys, issuer, clock):
    for number in range(50):
        assert await keys.find(f"invented-{number}") is None
    await asyncio.gather(*(keys.find(f"more-{number}") for number in range(50)))
    for odd in (5, ["x"], "k" * 300):
        assert await keys.find(odd) is None
    assert issuer.fetches == 1

    clock[0] = 61
    await asyncio.gather(*(keys.find("again") for _ in range(50)))
    assert issuer.fetches == 2


@pytest.mark.parametrize("kid", ["theirs", None])
async def test_a_token_without_kid_uses_the_only_published_key(keys, issuer, kid):
    """Whether that key has an id or not."""
    issuer.response = lambda: web.json_response({"keys": [jwk(kid=kid)]})
    verifier = Verifier(AuthSettings(), keys)

    await verifier.verify(make_token(key=THEIR_KEY, headers={}))
    with pytest.raises(Unauthorized, match="signature"):
        await verifier.verify(make_token(headers={}))
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    "published", [[], [jwk(), jwk(kid="more")], [jwk(kid=None), jwk(kid=None)]], ids=len
)
async def test_a_token_without_kid_is_refused_beside_several_keys(keys, issuer, published):
    """None of them is tried; the response says why."""
    issuer.response = lambda: web.json_response({"keys": published})

    with pytest.raises(Unauthorized, match="publishes exactly one key"):
        await Verifier(AuthSettings(), keys).verify(make_token(key=THEIR_KEY, headers={}))


async def test_new_keys_are_found_and_withdrawn_ones_dropped(keys, issuer, clock):
    assert await keys.find("theirs") is not None
    issuer.response = lambda: web.json_response({"keys": [jwk(kid="next")]})

    clock[0] = 61
    assert await keys.find("next") is not None
    assert await keys.find("theirs") is None


async def test_known_keys_are_fetched_again_after_a_while(keys, issuer, clock):
    assert await keys.find("theirs") is not None
    issuer.response = lambda: web.json_response({"keys": [jwk(kid="next")]})

    clock[0] = 899
    assert await keys.find("theirs") is not None
    clock[0] = 901
    assert await keys.find("theirs") is None


async def test_tokens_of_a_withdrawn_key_end_with_it(keys, issuer, clock):
    """T19: a verified token is cached for a minute only."""
    verifier = Verifier(AuthSettings(), keys, now_s=lambda: clock[0])
    token = make_token(key=THEIR_KEY, headers={"kid": "theirs"})
    await verifier.verify(token)
    issuer.response = lambda: web.json_response({"keys": [jwk(rsa_key(), kid="next")]})

    clock[0] = 59
    await verifier.verify(token)
    clock[0] = 901
    with pytest.raises(Unauthorized):
        await verifier.verify(token)


async def slow():
    await asyncio.sleep(3600)


BAD_RESPONSES = {
    "500": lambda: web.Response(status=500),
    "404": lambda: web.json_response({"keys": [jwk(kid="evil")]}, status=404),
    "redirect": lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
    "not JSON": lambda: web.Response(text="keys"),
    "list": lambda: web.json_response([jwk(kid="evil")]),
    "no list": lambda: web.json_response({"keys": {"kid": "evil"}}),
    "empty": lambda: web.json_response({"keys": []}),
    "odd items": lambda: web.json_response({"keys": [None, 5, "x", {}, {"kid": "evil"}]}),
    "deep": lambda: web.Response(text="[" * 60_000),
    "huge": lambda: web.json_response({"keys": [jwk(kid="evil")], "pad": "x" * 70_000}),
    "weak": lambda: web.json_response({"keys": [jwk(rsa_key(1024), kid="evil")]}),
    "for encryption": lambda: web.json_response({"keys": [jwk(kid="evil", use="enc")]}),
    "other algorithm": lambda: web.json_response({"keys": [jwk(kid="evil", alg="RS512")]}),
    "symmetric": lambda: web.json_response({"keys": [{"kty": "oct", "k": "AA", "kid": "evil"}]}),
    "private": lambda: web.json_response({"keys": [jwk(kid="evil", d="AA")]}),
    "number as id": lambda: web.json_response({"keys": [jwk(kid=5)]}),
    "broken numbers": lambda: web.json_response({"keys": [jwk(kid="evil", n="!", e="")]}),
}


@pytest.mark.parametrize("name", BAD_RESPONSES)
async def test_bad_responses_leave_the_known_keys_unchanged(keys, issuer, clock, name):
    assert await keys.find("theirs") is not None
    issuer.response = BAD_RESPONSES[name]

    clock[0] = 901
    assert await keys.find("evil") is None
    assert await keys.find("theirs") is not None
    assert issuer.fetches == 2


async def test_fetching_keys_times_out(keys, issuer, monkeypatch):
    monkeypatch.setattr("query.auth.verification_keys.FETCH_TIMEOUT_S", 0.2)
    issuer.response = slow

    async with asyncio.timeout(5):
        assert await keys.find("theirs") is None


async def test_an_issuer_that_is_away_is_no_error():
    keys = IssuerKeys("http://127.0.0.1:1/jwks", InstallationKeys({}))

    assert await keys.find("theirs") is None


@pytest.mark.parametrize(
    "url",
    [
        *("http://issuer.example/jwks", "ftp://issuer.example/jwks", "file:///etc/passwd", "/jwks"),
        *("https://", "http://169.254.169.254/latest", "http://10.0.0.1/", "http://127.0.0.1.x/"),
        *("https://169.254.169.254/", "https://[fe80::1]/"),
    ],
)
def test_only_https_or_loopback_addresses_are_taken(url):
    with pytest.raises(SetupError):
        IssuerKeys(url, InstallationKeys({}))


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1%eth0", "224.0.0.1", "0.0.0.0", "240.0.0.1"]
)
async def test_a_name_that_resolves_to_a_metadata_service_is_refused(address, monkeypatch):
    async def resolve(self, host, port=0, family=0):
        return [{"host": address, "port": port}]

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    resolver = _CheckedResolver(only_loopback=False)

    with pytest.raises(OSError, match="not allowed"):
        await resolver.resolve("issuer.example")
    await resolver.close()
