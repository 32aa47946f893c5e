"""opslog's own log lines: complete, escaped, without ingested data."""

import io
import json
import logging
import sys

import pytest

from config.errors import OpslogError
from config.process import logs
from config.settings import LogSettings


@pytest.fixture
def restore() -> None:
    """Restore the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    """A record as created by `logging`."""
    made = logging.LogRecord("storage.writer", logging.WARNING, "f.py", 1, message, args, None)
    vars(made).update(extra)
    return made


def thrown(error: BaseException) -> BaseException:
    """The error with a traceback."""
    try:
        raise error
    except type(error) as caught:
        return caught


class SqlError(Exception):
    """Like asyncpg's errors, with a SQLSTATE."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def test_json_lines_have_extra_fields():
    """One object per line, whatever the message contains."""
    line = logs.JsonLines("receiver-0").format(
        record("wrote %d\nrows", 7, trace_id="ab", odd=set())
    )

    said = json.loads(line)
    assert "\n" not in line
    assert said["message"] == "wrote 7\\x0arows"
    assert (said["process"], said["level"], said["logger"]) == (
        "receiver-0",
        "WARNING",
        "storage.writer",
    )
    assert (said["trace_id"], said["odd"]) == ("ab", "set()")
    assert said["time"].endswith("Z")


def test_text_lines_omit_the_process_under_a_supervisor():
    """The supervisor adds it as a prefix."""
    assert logs.TextLines("opslog").format(record("hello", n=1)).startswith("opslog      20")
    alone = logs.TextLines("").format(record("hello", n=1))
    assert alone.startswith("20")
    assert alone.endswith("WARNING storage.writer: hello n=1")


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "a\rb", "\x00", "\x9b31m", "\u2028", "\u202eevil", "\u200b", "\ufeff"]
)
def test_control_characters_are_escaped(text):
    """In messages and in fields."""
    line = logs.TextLines("").format(record(text, field=text))

    assert not set(text) & set(line) - set("[2Jab31mevil")


def test_a_huge_message_is_truncated():
    """A log line must not contain a body."""
    shown = logs.visible("x" * 100_000)

    assert len(shown) < 10_000
    assert shown.endswith("(100000 characters)")


@pytest.mark.parametrize(
    ("error", "shown", "hidden"),
    [
        (ValueError("card 4111"), "ValueError", "4111"),
        (KeyError("alice@shop.example"), "KeyError", "alice"),
        (SqlError("22P02", 'invalid input "4111"'), "SqlError 22P02", "4111"),
        (SqlError("23505", "key (4111) exists"), "SqlError 23505", "4111"),
        (SqlError("42P01", 'relation "t" does not exist'), 'relation "t"', "nothing"),
        (OpslogError("spool has 5 bytes free"), "5 bytes free", "nothing"),
        (FileNotFoundError(2, "No such file", "/x"), "No such file", "nothing"),
    ],
)
def test_exceptions_are_logged_without_values_of_records(error, shown, hidden):
    """Messages of other libraries may quote data."""
    text = logs.exception_text(thrown(error))

    assert shown in text
    assert hidden not in text
    assert "test_logs.py" in text


def test_causes_are_logged_oldest_first():
    """As in Python."""
    try:
        try:
            raise OSError("disk")  # noqa: TRY301
        except OSError as cause:
            raise OpslogError("spool") from cause
    except OpslogError as error:
        text = logs.exception_text(error)

    assert text.index("disk") < text.index("spool")


def test_both_formats_add_exceptions():
    """Indented in text, a field in JSON."""
    made = record("failed")
    error = thrown(OpslogError("why"))
    made.exc_info = (type(error), error, error.__traceback__)

    assert "\n    config.errors.OpslogError: why" in logs.TextLines("").format(made)
    assert "OpslogError: why" in json.loads(logs.JsonLines("x").format(made))["exception"]


@pytest.mark.usefixtures("restore")
@pytest.mark.parametrize(("format_", "is_json"), [("json", True), ("text", False), ("auto", True)])
def test_set_up_selects_the_format(format_, is_json, monkeypatch):
    """`auto` is JSON without a terminal; the supervisor provides the name."""
    monkeypatch.setenv("OPSLOG_PROCESS", "query")
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    logs.set_up(LogSettings(format=format_))
    logging.getLogger("x").info("hello")

    line = sys.stderr.getvalue()
    assert line.startswith("{") == is_json
    assert ('"process": "query"' in line) == is_json
