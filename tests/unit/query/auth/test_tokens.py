"""Verification of tokens, with a table of attacks on JWT."""

import base64
import json
import logging
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from config.access import Permission, Role
from config.errors import SetupError
from config.settings import AuthSettings
from query.auth.tokens import Verifier
from query.auth.verification_keys import InstallationKeys, keys_from, public_key
from query.errors import Unauthorized
from tests.support.querying import KEY_ID, OWN_KEY, make_token, public_pem, rsa_key

OTHER_KEY = rsa_key()
NOW = int(time.time())


def verifier(**settings) -> Verifier:
    return Verifier(AuthSettings(**settings), InstallationKeys({KEY_ID: public_pem(OWN_KEY)}))


async def test_a_token_of_the_installation_is_valid():
    principal = await verifier().verify(make_token("ADMIN", sub="jane"))

    assert (principal.subject, principal.role) == ("jane", "ADMIN")
    assert principal.permissions == {
        *(Permission.LOGS_READ, Permission.LOGS_EXPORT),
        *(Permission.OPERATIONS_READ, Permission.REDACTION_TEST),
    }
    assert abs(principal.expires_s - time.time() - 3630) < 5


def encoded(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


CLAIMS = {"iss": "opslog", "aud": "opslog", "role": "SUPER_ADMIN", "exp": NOW + 3600, "iat": NOW}
PRIVATE_PEM = OWN_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


def hs256_with_the_public_key() -> str:
    import hashlib
    import hmac

    head = encoded({"alg": "HS256", "typ": "JWT", "kid": KEY_ID}) + "." + encoded(CLAIMS)
    tag = hmac.digest(public_pem(OWN_KEY), head.encode(), hashlib.sha256)
    return f"{head}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


def with_header(**header) -> str:
    return make_token(headers={"kid": KEY_ID} | header)


def deep() -> str:
    return base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=")


ATTACKS = {
    "nothing": "",
    "dots": "..",
    "text": "a.b.c",
    "not ascii": "é.é.é",
    "unsigned": f"{encoded({'alg': 'none', 'kid': KEY_ID})}.{encoded(CLAIMS)}.",
    "unsigned, spelled otherwise": f"{encoded({'alg': 'nOnE', 'kid': KEY_ID})}.{encoded(CLAIMS)}.",
    "no algorithm": f"{encoded({'kid': KEY_ID})}.{encoded(CLAIMS)}.",
    "HS256 with the public key": hs256_with_the_public_key(),
    "RS512": jwt.encode(CLAIMS, OWN_KEY, algorithm="RS512", headers={"kid": KEY_ID}),
    "PS256": jwt.encode(CLAIMS, OWN_KEY, algorithm="PS256", headers={"kid": KEY_ID}),
    "another key": make_token(key=OTHER_KEY),
    "cut signature": make_token()[:-10],
    "changed claims": ".".join(
        [make_token().split(".")[0], encoded(CLAIMS), make_token().split(".")[2]]
    ),
    "unknown crit": with_header(crit=["exp"], exp=1),
    "b64 crit": with_header(crit=["b64"], b64=True),
    "empty crit": with_header(crit=[]),
    "no kid": make_token(headers={}),
    "kid is a path": with_header(kid="../../dev/null"),
    "kid is SQL": with_header(kid="' OR 1=1"),
    "kid is long": with_header(kid="k" * 5000),
    "kid is a number": f"{encoded({'alg': 'RS256', 'kid': 1})}.{encoded(CLAIMS)}.AA",
    "kid is a list": f"{encoded({'alg': 'RS256', 'kid': [KEY_ID]})}.{encoded(CLAIMS)}.AA",
    "embedded key": make_token(key=OTHER_KEY, headers={"kid": "x", "jwk": {"kty": "RSA"}}),
    "key by address": make_token(key=OTHER_KEY, headers={"kid": "x", "jku": "http://127.0.0.1/"}),
    "certificate by address": make_token(
        key=OTHER_KEY, headers={"kid": "x", "x5u": "http://127.0.0.1/"}
    ),
    "expired": make_token(iat=NOW - 3600, exp=NOW - 31),
    "not yet valid": make_token(nbf=NOW + 900),
    "issued in the future": make_token(iat=NOW + 900),
    "without end": make_token(exp=None),
    "end is text": make_token(exp="tomorrow"),
    "end is infinite": f"{encoded({'alg': 'RS256', 'kid': KEY_ID})}."
    + encoded(CLAIMS | {"exp": float("inf")})
    + ".AA",
    "lives too long": make_token(iat=NOW, exp=NOW + 24 * 3600 + 1),
    "lives too long without a beginning": make_token(iat=None, exp=NOW + 25 * 3600),
    "other issuer": make_token(iss="opslog "),
    "no issuer": make_token(iss=None),
    "issuers": make_token(iss=["opslog"]),
    "other audience": make_token(aud="OPSLOG"),
    "no audience": make_token(aud=None),
    "very long": make_token(note="x" * 9000),
    "deep header": f"{deep()}.{deep()}.AA",
    "deep claims": f"{encoded({'alg': 'RS256', 'kid': KEY_ID})}.{deep()}.AA",
    "signed text": jwt.api_jws.encode(b"text", OWN_KEY, "RS256", headers={"kid": KEY_ID}),
    "signed list": jwt.api_jws.encode(b"[1]", OWN_KEY, "RS256", headers={"kid": KEY_ID}),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_attacks_are_rejected(attack):
    with pytest.raises(Unauthorized) as refused:
        await verifier().verify(ATTACKS[attack])

    assert str(refused.value).startswith("Invalid token: ")


ROLES = [
    ({"role": "NOC"}, {}, "NOC"),
    ({"role": "noc"}, {}, "noc"),
    ({"role": "SUPER_ADMIN "}, {}, "SUPER_ADMIN "),
    ({"role": "SUPER\u200b_ADMIN"}, {}, "SUPER\u200b_ADMIN"),
    ({"role": [["NOC"], {"NOC": 1}, None, 5]}, {}, ""),
    ({"role": []}, {}, ""),
    ({"role": {"SUPER_ADMIN": True}}, {}, ""),
    ({"role": None, "roles": "SUPER_ADMIN"}, {}, ""),
    ({"role": None, "Role": "SUPER_ADMIN"}, {}, ""),
    ({"role": "x", "realm": {"ops": "NOC"}}, {"role_claim": "realm.ops"}, "NOC"),
    ({"role": "x", "realm": "NOC"}, {"role_claim": "realm.ops"}, ""),
    ({"role": "x", "https://ops/role": "NOC"}, {"role_claim": "https://ops/role"}, "NOC"),
    ({"role": "ops"}, {"role_map": {"ops": "NOC"}}, "NOC"),
    ({"role": "ops"}, {"role_map": {"ops": "EMPEROR"}}, "EMPEROR"),
]


@pytest.mark.parametrize(("claims", "settings", "role"), ROLES)
async def test_a_role_is_one_exact_string_at_the_configured_claim(claims, settings, role):
    principal = await verifier(**settings).verify(make_token(**claims))

    assert principal.role == role
    assert principal.permissions == ({Permission.LOGS_READ} if role == "NOC" else frozenset())


KEYCLOAK = {"realm_access": {"roles": ["offline_access", "NOC", "uma_authorization"]}}
LISTS = [
    (KEYCLOAK, {"role_claim": "realm_access.roles"}, "NOC"),
    ({"resource_access": {"my.app": {"roles": ["NOC"]}}},
     {"role_claim": "resource_access.my.app.roles"}, "NOC"),
    ({"roles": ["Reader", "SUPER_ADMIN"]}, {"role_claim": "roles"}, "SUPER_ADMIN"),  # Entra ID
    ({"https://opslog.example/roles": ["NOC"]}, {"role_claim": "https://opslog.example/roles"}, "NOC"),
    ({"groups": ["everyone", "ops"]}, {"role_claim": "groups", "role_map": {"ops": "NOC"}}, "NOC"),
    ({"role": ["AUDITOR", "NOC"]}, {}, "NOC"),
    ({"role": ["x", "y"]}, {}, "x"),
    ({"role": ["x", "NOC", "noc", "NOC "]}, {}, "NOC"),
    ({"role": ["x"] * 2000 + ["NOC"]}, {}, "x"),  # what a token holds is bounded
    ({"role": [5, None, "NOC"]}, {}, "NOC"),
]  # fmt: skip


@pytest.mark.parametrize(("claims", "settings", "role"), LISTS)
async def test_of_a_list_the_strongest_known_role_counts(claims, settings, role):
    """As Keycloak, Entra ID, Auth0 and Okta send it."""
    if len(str(claims)) > 8000:
        principal = verifier(**settings)._principal(CLAIMS | claims, "digest")
    else:
        principal = await verifier(**settings).verify(make_token(**claims))

    assert principal.role == role


@pytest.mark.parametrize("strong", list(Role))
async def test_roles_are_ordered_by_strength(strong):
    """Whatever their order in the token."""
    weaker = list(Role)[list(Role).index(strong) :]
    for roles in (weaker, weaker[::-1]):
        assert (await verifier().verify(make_token(roles))).role == strong


REASONS = [
    ({"iat": NOW - 3600, "exp": NOW - 31}, None, "it has expired"),
    ({"nbf": NOW + 900}, None, "it is not valid yet"),
    ({"iat": NOW + 900}, None, "it is not valid yet"),
    ({"exp": NOW + 25 * 3600}, None, "it is valid for more than 24 hours"),
    ({"exp": None}, None, "it has no exp"),
    ({"exp": "tomorrow"}, None, "a claim of the wrong type"),
    ({"iss": "SECRET"}, None, "its iss is not the setting auth.issuer"),
    ({"aud": "SECRET"}, None, "its aud is not the setting auth.audience"),
    ({"aud": None}, None, "it has no aud"),
    ({"iss": None}, None, "it has no iss"),
    ({}, {"kid": "SECRET"}, "no known key has its kid"),
    ({}, {}, "it has no kid"),
    ({}, {"kid": KEY_ID, "crit": ["SECRET"]}, "critical extensions"),
    ({"note": "SECRET" * 2000}, None, "it is longer than 8192 bytes"),
]


@pytest.mark.parametrize(("claims", "headers", "reason"), REASONS)
async def test_a_refusal_says_why_in_the_response_and_the_log(claims, headers, reason, caplog):
    """Never what is in the token."""
    caplog.set_level(logging.INFO)
    token = make_token(headers=headers, **claims)

    with pytest.raises(Unauthorized, match=reason):
        await verifier().verify(token)

    assert reason in caplog.text
    assert "SECRET" not in caplog.text
    assert token[:20] not in caplog.text


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (make_token(key=OTHER_KEY), "its signature does not match the key"),
        ("hunter2", "it is no JSON web token"),
        ("a.b.c", "it is no JSON web token"),
    ],
)
async def test_a_refusal_of_another_key_or_text_says_why(token, reason):
    """Also of what is no token at all."""
    with pytest.raises(Unauthorized, match=reason) as refused:
        await verifier().verify(token)

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("subject", [None, "", 5, ["a"]])
async def test_a_token_without_a_name_is_unknown(subject):
    token = jwt.encode(CLAIMS, OWN_KEY, algorithm="RS256", headers={"kid": KEY_ID})
    if subject is not None:
        claims = json.dumps(CLAIMS | {"sub": subject}).encode()
        token = jwt.api_jws.encode(claims, OWN_KEY, "RS256", headers={"kid": KEY_ID})

    try:
        principal = await verifier().verify(token)
    except Unauthorized:
        return  # PyJWT wants a text where there is one
    assert principal.subject == "unknown"


async def test_a_little_skew_is_forgiven():
    now = int(time.time())
    for claims in ({"exp": now - 20}, {"nbf": now + 20}, {"iat": now + 20}):
        await verifier(leeway_s=30).verify(make_token(**claims))


async def test_a_verified_token_is_cached_until_it_expires(monkeypatch):
    checked = verifier(leeway_s=0)
    now = time.time()
    token = make_token(exp=int(now) + 60)
    first = await checked.verify(token)
    monkeypatch.setattr(jwt, "decode", None)

    assert await checked.verify(token) is first
    monkeypatch.undo()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    monkeypatch.setattr(jwt, "get_unverified_header", lambda _: {})
    with pytest.raises(Unauthorized):  # it is looked at again
        await checked.verify(token)


async def test_a_pem_file_stands_for_every_key_id_of_its_issuer(tmp_path):
    path = tmp_path / "issuer.pem"
    path.write_bytes(public_pem(OTHER_KEY))
    settings = AuthSettings(public_key_file=path)
    checked = Verifier(settings, keys_from(settings, {KEY_ID: public_pem(OWN_KEY)}))

    for headers in ({}, {"kid": "theirs"}):
        await checked.verify(make_token("NOC", key=OTHER_KEY, headers=headers))
    await checked.verify(make_token("NOC"))
    with pytest.raises(Unauthorized):
        await checked.verify(make_token("NOC", key=OTHER_KEY, headers={"kid": KEY_ID}))


def test_weak_and_wrong_keys_are_refused_at_the_start(tmp_path):
    for pem in (b"", b"text", PRIVATE_PEM, public_pem(rsa_key(1024))):
        with pytest.raises(SetupError):
            public_key(pem)
    with pytest.raises(SetupError, match="public_key_file"):
        keys_from(AuthSettings(public_key_file=tmp_path / "none"), {})
