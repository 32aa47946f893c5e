"""Keys of a foreign issuer: asked rarely, believed only in part, never followed elsewhere."""

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
    made = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {
        name: value for name, value in (made | {"kid": kid} | more).items() if value is not None
    }


class Issuer:
    """A web server that publishes keys, and counts how often it is asked."""

    def __init__(self):
        self.asked = 0
        self.answer = lambda: web.json_response({"keys": [jwk()]})

    async def serve(self, request):
        self.asked += 1
        answer = self.answer()
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
async def issuer():
    made = Issuer()
    app = web.Application()
    app.router.add_get("/{name}", made.serve)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/jwks"))
        yield made


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def keys(issuer, clock):
    own = InstallationKeys({KEY_ID: public_pem(OWN_KEY)})
    return IssuerKeys(issuer.url, own, now_s=lambda: clock[0])


async def test_tokens_of_the_issuer_and_our_own_are_believed(keys, issuer):
    verifier = Verifier(AuthSettings(), keys)

    await verifier.verify(make_token(key=THEIR_KEY, headers={"kid": "theirs"}))
    await verifier.verify(make_token())
    with pytest.raises(Unauthorized):
        await verifier.verify(make_token(key=THEIR_KEY, headers={"kid": KEY_ID}))
    with pytest.raises(Unauthorized):
        await verifier.verify(make_token(headers={"kid": "theirs"}))
    assert issuer.asked == 1


async def test_invented_key_ids_do_not_make_us_ask_more_than_once_a_minute(keys, issuer, clock):
    for number in range(50):
        assert await keys.find(f"invented-{number}") is None
    await asyncio.gather(*(keys.find(f"more-{number}") for number in range(50)))
    for odd in (None, 5, ["x"], "k" * 300):
        assert await keys.find(odd) is None
    assert issuer.asked == 1

    clock[0] = 61
    await asyncio.gather(*(keys.find("again") for _ in range(50)))
    assert issuer.asked == 2


async def test_a_new_key_is_found_and_a_withdrawn_one_goes(keys, issuer, clock):
    assert await keys.find("theirs") is not None
    issuer.answer = lambda: web.json_response({"keys": [jwk(kid="next")]})

    clock[0] = 61
    assert await keys.find("next") is not None
    assert await keys.find("theirs") is None


async def test_known_keys_are_asked_for_again_after_a_while(keys, issuer, clock):
    assert await keys.find("theirs") is not None
    issuer.answer = lambda: web.json_response({"keys": [jwk(kid="next")]})

    clock[0] = 899
    assert await keys.find("theirs") is not None
    clock[0] = 901
    assert await keys.find("theirs") is None


async def test_tokens_of_a_withdrawn_key_end_with_it(keys, issuer, clock):
    """T19: that a token was believed once is remembered for a minute only."""
    verifier = Verifier(AuthSettings(), keys, now_s=lambda: clock[0])
    token = make_token(key=THEIR_KEY, headers={"kid": "theirs"})
    await verifier.verify(token)
    issuer.answer = lambda: web.json_response({"keys": [jwk(rsa_key(), kid="next")]})

    clock[0] = 59
    await verifier.verify(token)
    clock[0] = 901
    with pytest.raises(Unauthorized):
        await verifier.verify(token)


async def slow():
    await asyncio.sleep(3600)


BAD_ANSWERS = {
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


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_bad_answers_leave_the_known_keys_as_they_are(keys, issuer, clock, name):
    assert await keys.find("theirs") is not None
    issuer.answer = BAD_ANSWERS[name]

    clock[0] = 901
    assert await keys.find("evil") is None
    assert await keys.find("theirs") is not None
    assert issuer.asked == 2


async def test_a_slow_issuer_is_not_waited_for_long(keys, issuer, monkeypatch):
    monkeypatch.setattr("query.auth.verification_keys.FETCH_TIMEOUT_S", 0.2)
    issuer.answer = slow

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
async def test_a_name_that_leads_to_a_metadata_service_is_not_followed(address, monkeypatch):
    async def resolve(self, host, port=0, family=0):
        return [{"host": address, "port": port}]

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    resolver = _CheckedResolver(only_loopback=False)

    with pytest.raises(OSError, match="not allowed"):
        await resolver.resolve("issuer.example")
    await resolver.close()
