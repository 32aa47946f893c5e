"""Checks that an external Redis is protected by a password and TLS.

Jobs are names from a closed list, so the queue cannot be used to run other code
(retention/jobs/queue.py); but write access to it controls whether and when retention runs.
"""

from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from config.errors import SetupError
from config.settings import Settings


class RedisExposed(SetupError):
    """The Redis of `redis_url` is on another machine, without a password or without TLS."""

    code = "redis_exposed"
    title = "The connection to Redis is not protected"


def check_redis(settings: Settings) -> None:
    """Raise RedisExposed, unless the operator has allowed it with insecure_redis."""
    if settings.redis_url is None or settings.insecure_redis:
        return
    missing = missing_guards(settings.redis_url.get_secret_value())
    if missing:
        raise RedisExposed(
            f"redis_url names a server on another machine without {' and '.join(missing)}: use "
            "rediss://:PASSWORD@HOST, or set insecure_redis if its network is private"
        )


def missing_guards(url: str) -> list[str]:
    """Missing protection of this address: `a password`, `TLS`; none needed on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "unix" or _is_here(parts.hostname or "localhost"):
        return []
    options = parse_qs(parts.query)
    has_tls = parts.scheme == "rediss" and options.get("ssl_cert_reqs") != ["none"]
    guards = {"a password": bool(parts.password or options.get("password")), "TLS": has_tls}
    return [name for name, is_there in guards.items() if not is_there]


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
