"""Names of attributes and body members as loggers spell them: one rule for all columns.

`log.level`, `log_level`, `logLevel` and `LogLevel` are one name: letters of any case, without dots,
dashes and underscores. Members of a body may also be nested (ECS, Datadog, Fluent Bit):
`{"log": {"level": …}}` is the same as `{"log.level": …}`.
"""

from typing import TypeAlias

from storage.record.record import Value

NESTED = frozenset(
    (
        "container",
        "dd",
        "event",
        "kubernetes",
        "log",
        "logrecord",
        "otel",
        "span",
        "syslog",
        "trace",
    )
)
"""Maps in a body whose members are looked up as well."""

Named: TypeAlias = "dict[str, tuple[str, Value]]"
"""Path as sent, and value, by plain name."""

_GLUE = str.maketrans("", "", "._-")
_MAX_ENTRIES = 8192
_MAX_CHARACTERS = 100
"""Longer names are none of those looked up, and not worth caching."""
_known: dict[str, str] = {}
"""Cache; cleared when full."""


def plain(name: str) -> str:
    """The name without case and separators.

    >>> plain("log.level"), plain("LogLevel"), plain("otelTraceID"), plain("@l")
    ('loglevel', 'loglevel', 'oteltraceid', '@l')
    """
    found = _known.get(name)
    if found is None:
        found = name.lower().translate(_GLUE)
        if len(name) <= _MAX_CHARACTERS:
            if len(_known) >= _MAX_ENTRIES:
                _known.clear()
            _known[name] = found
    return found


def named(body: Value) -> Named:
    """The members of a body that is a map, by plain name; of equal names the first counts.

    >>> named({"log": {"level": "warn"}, "MESSAGE": "x"})["loglevel"]
    ('log.level', 'warn')
    """
    members: Named = {}
    if isinstance(body, dict):
        for key, value in body.items():
            name = plain(key)
            members.setdefault(name, (key, value))
            if name in NESTED and isinstance(value, dict):
                for inner, item in value.items():
                    members.setdefault(name + plain(inner), (f"{key}.{inner}", item))
    return members
