"""Verification keys of tokens: of the installation, of a PEM file, of an external JWKS."""

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import aiohttp
import jwt
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import RSAAlgorithm
from yarl import URL

from config.errors import SetupError
from config.settings import AuthSettings

_log = logging.getLogger(__name__)

MIN_KEY_BITS = 2048
MAX_JWKS_BYTES = 64 * 1024
FETCH_TIMEOUT_S = 5.0
MIN_REFRESH_S = 60.0
"""Unknown key ids cause at most one request to the issuer in this time."""
REFRESH_AFTER_S = 900.0
"""Known keys are fetched again after this, so that withdrawn ones are dropped."""
MAX_KID = 256


Published: TypeAlias = dict[str | int, RSAPublicKey]
"""Keys of an issuer by id; one without an id by its position, which is no id of a token."""


class InstallationKeys:
    """The installation's key by its id, and at most one external key from a PEM file.

    A PEM file has no `kid`, so its key is used for every id that is not the installation's.
    """

    def __init__(self, own: Mapping[str, bytes], external_pem: bytes | None = None) -> None:
        self._own = {kid: public_key(pem) for kid, pem in own.items()}
        self._external = public_key(external_pem) if external_pem is not None else None

    async def find(self, kid: object) -> RSAPublicKey | None:
        """The key for this id."""
        if kid is None or not isinstance(kid, str) or len(kid) > MAX_KID:
            return self._external if kid is None else None
        return self._own.get(kid, self._external)


class IssuerKeys:
    """The installation's keys, then those that an external issuer publishes."""

    def __init__(
        self,
        url: str,
        own: InstallationKeys,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises SetupError for a URL that is not allowed."""
        self._url = _checked_url(url)
        self._own = own
        self._now_s = now_s
        self._keys: Published = {}
        self._fetched_s: float | None = None
        self._fetching = asyncio.Lock()

    async def find(self, kid: object) -> RSAPublicKey | None:
        """The key for this id; fetches unknown ids at most once a minute.

        Without an id: the key that the issuer publishes, if it is only one.
        """
        own = await self._own.find(kid)
        if own is not None or not (kid is None or isinstance(kid, str)):
            return own
        if isinstance(kid, str) and len(kid) > MAX_KID:
            return None
        if self._is_due(self._fetch_after_s(kid)):
            async with self._fetching:
                if self._is_due(self._fetch_after_s(kid)):
                    await self._refresh()
        return self._published(kid)

    def _published(self, kid: str | None) -> RSAPublicKey | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _fetch_after_s(self, kid: str | None) -> float:
        return MIN_REFRESH_S if self._published(kid) is None else REFRESH_AFTER_S

    def _is_due(self, after_s: float) -> bool:
        return self._fetched_s is None or self._now_s() - self._fetched_s >= after_s

    async def _refresh(self) -> None:
        """Fetch the issuer's keys; keep the current ones if that fails."""
        self._fetched_s = self._now_s()
        try:
            keys = _keys_of(await _fetch(self._url))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
            _log.warning("the issuer's keys could not be fetched: %s", type(error).__name__)
            return
        if keys:
            self._keys = keys
        else:
            _log.warning("the issuer publishes no usable RSA key")


def public_key(pem: bytes) -> RSAPublicKey:
    """An RSA public key of 2048 bits or more from PEM. Raises SetupError."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SetupError("The public key for tokens is not a PEM public key") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_KEY_BITS:
        raise SetupError(f"tokens need an RSA key of at least {MIN_KEY_BITS} bits")
    return key


def keys_from(settings: AuthSettings, own: Mapping[str, bytes]) -> InstallationKeys | IssuerKeys:
    """The keys of these settings; `own` maps the installation's key id to its public PEM."""
    pem = None
    if settings.public_key_file is not None:
        try:
            pem = settings.public_key_file.read_bytes()
        except OSError as error:
            raise SetupError(f"auth.public_key_file cannot be read: {error.strerror}") from error
    installation = InstallationKeys(own, pem)
    return IssuerKeys(settings.jwks_url, installation) if settings.jwks_url else installation


def _checked_url(text: str) -> URL:
    url = URL(text)
    only_loopback = url.scheme == "http"
    if url.scheme in {"http", "https"} and url.host:
        try:
            # IP addresses are not passed to the resolver, so check them here.
            is_allowed = _is_allowed(url.host, only_loopback=only_loopback)
        except ValueError:
            is_allowed = not only_loopback or url.host == "localhost"
        if is_allowed:
            return url
    raise SetupError("auth.jwks_url must be https, or http on the loopback address")


def _is_allowed(address: str, *, only_loopback: bool) -> bool:
    """Whether this IP address is allowed: link-local is not, where cloud metadata is served."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if only_loopback:
        return ip.is_loopback
    return not (ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved)


class _CheckedResolver(AbstractResolver):
    """A resolver that drops addresses that are not allowed."""

    def __init__(self, *, only_loopback: bool) -> None:
        self._inner = ThreadedResolver()
        self._only_loopback = only_loopback

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The allowed addresses of a host."""
        found = await self._inner.resolve(host, port, family)
        allowed = [
            item for item in found if _is_allowed(item["host"], only_loopback=self._only_loopback)
        ]
        if not allowed:
            raise OSError("the issuer's name resolves to an address that is not allowed")
        return allowed

    async def close(self) -> None:
        """Close the wrapped resolver."""
        await self._inner.close()


async def _fetch(url: URL) -> bytes:
    connector = aiohttp.TCPConnector(
        resolver=_CheckedResolver(only_loopback=url.scheme == "http"), force_close=True
    )
    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
        session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as response,
    ):
        if response.status != 200:
            raise ValueError("status is not 200")
        body = await response.content.read(MAX_JWKS_BYTES + 1)
        while len(body) <= MAX_JWKS_BYTES and (more := await response.content.readany()):
            body += more
        if len(body) > MAX_JWKS_BYTES:
            raise ValueError("too long")
        return body


def _keys_of(body: bytes) -> Published:
    """The usable keys of a JWK set; others are ignored."""
    document = orjson.loads(body)
    listed = document.get("keys") if isinstance(document, dict) else None
    keys: Published = {}
    for place, item in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(item, dict) and _is_usable(item):
            try:
                key = RSAAlgorithm.from_jwk(item)
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
            if isinstance(key, RSAPublicKey) and key.key_size >= MIN_KEY_BITS:
                keys[item.get("kid", place)] = key
    return keys


def _is_usable(item: Mapping[str, Any]) -> bool:
    return (
        item.get("kty") == "RSA"
        and isinstance(item.get("kid"), str | None)
        and item.get("alg", "RS256") == "RS256"
        and item.get("use", "sig") == "sig"
        and "d" not in item
    )
