"""Whether a Redis of one's own is reached in a way that others cannot use.

Jobs are names of a closed list, so nobody can run their own code through the queue
(retention/jobs/queue.py); but whoever can write to it decides whether and when retention runs.
"""

from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from config.errors import SetupError
from config.settings import Settings


class RedisExposed(SetupError):
    """The Redis of `redis_url` is on another machine, without password or without TLS."""

    code = "redis_exposed"
    title = "Redis is reached in a way that others can use"


def check_redis(settings: Settings) -> None:
    """Raises RedisExposed, unless the operator has said that it is meant."""
    if settings.redis_url is None or settings.insecure_redis:
        return
    missing = missing_guards(settings.redis_url.get_secret_value())
    if missing:
        raise RedisExposed(
            f"redis_url names a server on another machine without {' and '.join(missing)}: use "
            "rediss://:PASSWORD@HOST, or set insecure_redis if its network is yours alone"
        )


def missing_guards(url: str) -> list[str]:
    """What protects this address too little: `a password`, `TLS`; none on this machine."""
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
