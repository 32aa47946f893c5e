"""Checks of network exposure for `opslog doctor`."""

from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import parse_qs, urlsplit

from config.settings import Settings, is_loopback
from opslog.doctor.finding import Finding
from opslog.installation.installation import Installation
from opslog.installation.redis_address import missing_guards

_CHECKED = {"verify-ca", "verify-full"}


def examine(installation: Installation) -> Iterator[Finding]:
    """One finding per unprotected connection."""
    settings = installation.settings
    found = [*_listeners(settings), *_proxies(settings), *_servers(settings)]
    yield from found
    if not found:
        yield Finding("no unprotected network connections")


def _listeners(settings: Settings) -> Iterator[Finding]:
    for name, host, cert in (
        ("otlp", settings.otlp.host, settings.otlp.tls_cert),
        ("api", settings.api.host, settings.api.tls_cert),
    ):
        if (
            is_loopback(host)
            or cert is not None
            or (name == "api" and settings.api.trusted_proxies)
        ):
            continue
        what = "ingest keys and records" if name == "otlp" else "tokens and records"
        yield Finding(
            f"{name}.host is {host}, without TLS",
            f"{what} can be read in transit",
            f"set {name}.tls_cert and {name}.tls_key, or use a TLS proxy and {name}.host 127.0.0.1",
        )


def _proxies(settings: Settings) -> Iterator[Finding]:
    for text in settings.api.trusted_proxies:
        if ip_network(text, strict=False).prefixlen == 0:
            yield Finding(
                f"api.trusted_proxies contains {text}, which matches every address",
                "any client can forge its address in the access audit",
                "list the proxies' addresses only",
            )


def _servers(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is not None:
        missing = missing_guards(settings.redis_url.get_secret_value())
        if missing:
            yield Finding(
                f"redis_url names a server on another machine without {' and '.join(missing)}",
                "anyone who can reach it controls when retention runs",
                "use rediss://:PASSWORD@HOST",
                is_problem=not settings.insecure_redis,
            )
    if settings.database_url is None:
        return
    parts = urlsplit(settings.database_url.get_secret_value())
    options = parse_qs(parts.query)
    host = options.get("host", [parts.hostname or ""])[0]
    is_here = not host or host.startswith("/") or is_loopback(host)
    if not is_here and options.get("sslmode", [""])[0] not in _CHECKED:
        yield Finding(
            f"the certificate of the database at {host} is not verified",
            "an attacker in between can read records and the password",
            "add ?sslmode=verify-full (and sslrootcert) to database_url",
        )
