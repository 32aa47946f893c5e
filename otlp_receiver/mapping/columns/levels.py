"""The level of a record.

Sources: opentelemetry-specification, logs/data-model.md, "Severity Fields" and appendix B; the
number decides, the text only if the number is unset, then what loggers call their level; free text
is never searched.
"""

from collections.abc import Callable
from typing import TypeAlias

from config.levels import Level
from otlp_receiver.mapping.columns.names import Named, plain
from storage.record.record import Attribute, Value

LevelPlaces: TypeAlias = "tuple[tuple[Callable[[Value], Level | None], int, str], ...]"
"""(reader, position, key) of attributes that may have a level."""

_RANGES = (
    (range(1, 9), Level.DEBUG),  # TRACE to TRACE4, DEBUG to DEBUG4
    (range(9, 13), Level.INFO),
    (range(13, 17), Level.WARN),
    (range(17, 21), Level.ERROR),
    (range(21, 25), Level.CRITICAL),
)
BY_NUMBER: dict[int, Level] = {number: level for numbers, level in _RANGES for number in numbers}
"""Numbers outside 1-24 count as unset, never as an error: the enum is open."""

_TOKENS = (
    ("trace finest finer fine config verbose debug silly t d v trc vrb dbg dbug trce", Level.DEBUG),
    ("info information informational notice success i inf", Level.INFO),
    ("warn warning w wrn", Level.WARN),
    ("err error severe fail e", Level.ERROR),
    ("crit critical alert fatal emerg emergency panic dpanic fault f c ftl", Level.CRITICAL),
)
_SHORT_NAMES = {
    f"{name}{step}": level
    for name, level in (
        ("trace", Level.DEBUG),
        ("debug", Level.DEBUG),
        ("info", Level.INFO),
        ("warn", Level.WARN),
        ("error", Level.ERROR),
        ("fatal", Level.CRITICAL),
    )
    for step in (2, 3, 4)
}
"""OpenTelemetry's short names of numbers (logs/data-model.md, "Displaying Severity")."""
BY_TEXT: dict[str, Level] = {
    **{token: level for tokens, level in _TOKENS for token in tokens.split()},
    **_SHORT_NAMES,
}
"""Exact texts, case-insensitive. With the letters of glog, Android and OpenTelemetry, the three
letters of Serilog, and the four of .NET's console."""

NAMES = ("level", "severity", "loglevel", "@l", "lvl", "levelname", "severitytext", "logseverity")
"""Attributes and body members with a level, by plain name (names.py), best first."""
SYSLOG_NAMES = ("PRIORITY", "syslog.severity.code", "log.syslog.severity.code")
"""The same with syslog's severity (RFC 5424, table 2), as journald and ECS name it; exact, because
other senders have a `priority` of their own."""
BY_SYSLOG = (
    Level.CRITICAL,  # emergency
    Level.CRITICAL,  # alert
    Level.CRITICAL,  # critical
    Level.ERROR,
    Level.WARN,
    Level.INFO,  # notice
    Level.INFO,
    Level.DEBUG,
)
_PINO = {1: Level.DEBUG, 2: Level.DEBUG, 3: Level.INFO, 4: Level.WARN, 5: Level.ERROR}
"""pino and bunyan: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal, by tens."""
_PINO_LEAST, _PINO_FATAL = 10, 60
_MAX_DIGITS = 2


def level_by_number(number: int) -> Level | None:
    """The level of a severity number, or None."""
    return BY_NUMBER.get(number)


def level_of_text(value: Value) -> Level | None:
    """The level that a text names.

    >>> level_of_text(" Warning ").name, level_of_text("my error")
    ('WARN', None)
    """
    return BY_TEXT.get(value.strip().lower()) if isinstance(value, str) else None


def level_of_pino(value: Value) -> Level | None:
    """The level of a number of pino or bunyan.

    >>> level_of_pino(35).name, level_of_pino("50").name, level_of_pino(3)
    ('INFO', 'ERROR', None)
    """
    number = _small_number(value)
    if number is None or not _PINO_LEAST <= number <= _PINO_FATAL:
        return None
    return Level.CRITICAL if number == _PINO_FATAL else _PINO[number // 10]


def level_of_syslog(value: Value) -> Level | None:
    """The level of a severity of syslog: 0 to 7, or its name."""
    found = level_of_text(value)
    number = _small_number(value) if found is None else None
    return BY_SYSLOG[number] if number is not None and number < len(BY_SYSLOG) else found


def _small_number(value: Value) -> int | None:
    """A number of at most two digits, also as text."""
    if isinstance(value, str):
        value = value.strip()
        is_number = value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS
        return int(value) if is_number else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value <= _PINO_FATAL and value == int(value) else None


def level_without_number(
    severity_text: str,
    where: tuple[list[Attribute], LevelPlaces, Named],
    *,
    has_exception: bool,
    audit_outcome: Value,
) -> tuple[Level, str, str]:
    """(level, source, path of the source) of a log record without a severity number.

    `where`: its attributes, the positions of those with a level, the members of its body.
    """
    level = BY_TEXT.get(severity_text.strip().lower())
    if level is not None:
        return level, "severity_text", "severity_text"
    attributes, places, members = where
    for read, place, key in places:
        level = read(attributes[place].value)
        if level is not None:
            return level, "attribute", f"attributes.{key}"
    for read, name, key in _READERS if members else ():
        sent, value = members.get(name, ("", None))
        level = read(value) if sent and key in {"", sent} else None
        if level is not None:
            return level, "body", f"body.{sent}"
    if has_exception:
        return Level.ERROR, "exception", "exception"
    if isinstance(audit_outcome, str) and audit_outcome.lower() == "failure":
        return Level.WARN, "audit_outcome", "audit_outcome"
    return Level.INFO, "default", "default"


_READERS: tuple[tuple[Callable[[Value], Level | None], str, str], ...] = (
    *((level_of_text, name, "") for name in NAMES),
    *((level_of_pino, name, "") for name in NAMES),
    *((level_of_syslog, plain(key), key) for key in SYSLOG_NAMES),
)
"""How a level is read from which plain name, and which exact key if not any; best first."""


def level_places(at: dict[str, int]) -> LevelPlaces:
    """The positions of a list of keys that may have a level, best first."""
    keys = {plain(key): key for key in at}
    return tuple(
        (read, at[keys[name]], keys[name])
        for read, name, key in _READERS
        if name in keys and key in {"", keys[name]}
    )


def level_of_span(status_code: int) -> tuple[Level, str]:
    """(level, source): ERROR for status ERROR (opentelemetry-proto trace.proto, 2), else INFO.

    INFO has no source: it is the default of spans.
    """
    return (Level.ERROR, "span_status") if status_code == 2 else (Level.INFO, "")
