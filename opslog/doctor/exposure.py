"""What others on the network could read or reach of this installation; for `opslog doctor`."""

from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import parse_qs, urlsplit

from config.settings import Settings, is_loopback
from opslog.doctor.finding import Finding
from opslog.installation.installation import Installation
from opslog.installation.redis_address import missing_guards

_CHECKED = {"verify-ca", "verify-full"}


def examine(installation: Installation) -> Iterator[Finding]:
    """Each way in or out that is open, and nothing when there is none."""
    settings = installation.settings
    found = [*_listeners(settings), *_proxies(settings), *_servers(settings)]
    yield from found
    if not found:
        yield Finding("nothing goes over the network unprotected")


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
            f"{what} can be read on their way",
            f"{name}.tls_cert and {name}.tls_key, or a proxy in front and {name}.host 127.0.0.1",
        )


def _proxies(settings: Settings) -> Iterator[Finding]:
    for text in settings.api.trusted_proxies:
        if ip_network(text, strict=False).prefixlen == 0:
            yield Finding(
                f"api.trusted_proxies holds {text}, which is everybody",
                "whoever asks may write any address into the records of who asked",
                "name the proxies",
            )


def _servers(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is not None:
        missing = missing_guards(settings.redis_url.get_secret_value())
        if missing:
            yield Finding(
                f"redis_url names a server on another machine without {' and '.join(missing)}",
                "whoever reaches it decides when retention runs",
                "rediss://:PASSWORD@HOST",
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
            f"the database is at {host}, and its certificate is not checked",
            "who stands between can read records and the password",
            "?sslmode=verify-full (and sslrootcert) in database_url",
        )
