"""The level of a record.

Sources: opentelemetry-specification, logs/data-model.md, "Severity Fields" and appendix B; the
number decides, the text only if the number is unset, and free text is never searched.
"""

from config.levels import Level
from storage.record.record import Value

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
    ("trace finest finer fine config verbose debug", Level.DEBUG),
    ("info information informational notice", Level.INFO),
    ("warn warning", Level.WARN),
    ("err error severe", Level.ERROR),
    ("crit critical alert fatal emerg emergency panic", Level.CRITICAL),
)
BY_TEXT: dict[str, Level] = {token: level for tokens, level in _TOKENS for token in tokens.split()}
"""Exact texts, case-insensitive."""

BODY_KEYS = ("level", "severity")
"""Keys of the level in the body of loggers that send a map."""


def level_by_number(number: int) -> Level | None:
    """The level of a severity number, or None."""
    return BY_NUMBER.get(number)


def level_without_number(
    severity_text: str, body: Value, *, has_exception: bool, audit_outcome: Value
) -> tuple[Level, str]:
    """(level, source) of a log record without a severity number."""
    level = BY_TEXT.get(severity_text.strip().lower())
    if level is not None:
        return level, "severity_text"
    if isinstance(body, dict):
        for key in BODY_KEYS:
            text = body.get(key)
            if isinstance(text, str) and (level := BY_TEXT.get(text.strip().lower())) is not None:
                return level, "body"
    if has_exception:
        return Level.ERROR, "exception"
    if isinstance(audit_outcome, str) and audit_outcome.lower() == "failure":
        return Level.WARN, "audit_outcome"
    return Level.INFO, "default"


def level_of_span(status_code: int) -> tuple[Level, str]:
    """(level, source): ERROR for status ERROR (opentelemetry-proto trace.proto, 2), else INFO.

    INFO has no source: it is the default of spans.
    """
    return (Level.ERROR, "span_status") if status_code == 2 else (Level.INFO, "")
