"""opslog's own log lines: whole, harmless, without what senders sent."""

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
    """Leaves the root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    """A record as `logging` makes it."""
    made = logging.LogRecord("storage.writer", logging.WARNING, "f.py", 1, message, args, None)
    vars(made).update(extra)
    return made


def thrown(error: BaseException) -> BaseException:
    """The error, with a place."""
    try:
        raise error
    except type(error) as caught:
        return caught


class SqlError(Exception):
    """As asyncpg's errors are: with a state."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def test_json_lines_hold_fields_beside_the_message():
    """One object, one line, whatever the message holds."""
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


def test_text_lines_name_the_process_only_when_nobody_else_does():
    """Under a supervisor the name is in front already."""
    assert logs.TextLines("opslog").format(record("hello", n=1)).startswith("opslog      20")
    alone = logs.TextLines("").format(record("hello", n=1))
    assert alone.startswith("20")
    assert alone.endswith("WARNING storage.writer: hello n=1")


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "a\rb", "\x00", "\x9b31m", "\u2028", "\u202eevil", "\u200b", "\ufeff"]
)
def test_control_characters_are_shown_and_not_obeyed(text):
    """In messages and in fields."""
    line = logs.TextLines("").format(record(text, field=text))

    assert not set(text) & set(line) - set("[2Jab31mevil")


def test_a_giant_message_is_cut():
    """A log line is no place for a body."""
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
def test_exceptions_are_told_without_values_of_records(error, shown, hidden):
    """Foreign messages may quote what was sent."""
    text = logs.exception_text(thrown(error))

    assert shown in text
    assert hidden not in text
    assert "test_logs.py" in text


def test_causes_are_told_oldest_first():
    """As Python does it."""
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
def test_set_up_chooses_the_form(format_, is_json, monkeypatch):
    """`auto` is JSON where nobody looks; the name comes from the supervisor."""
    monkeypatch.setenv("OPSLOG_PROCESS", "query")
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    logs.set_up(LogSettings(format=format_))
    logging.getLogger("x").info("hello")

    line = sys.stderr.getvalue()
    assert line.startswith("{") == is_json
    assert ('"process": "query"' in line) == is_json
