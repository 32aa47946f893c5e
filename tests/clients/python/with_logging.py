"""A program without the OpenTelemetry SDK in its code: `opentelemetry-instrument` adds it."""

import logging
import sqlite3
import sys
import time
import traceback
from types import SimpleNamespace

from account import LoggingAccount, record_of, report, report_span
from opentelemetry import trace

STATEMENT = "SELECT name FROM sqlite_master WHERE type = ?"


def main() -> None:
    """Log outside and inside a span, fail once, query a database."""
    account = LoggingAccount()
    logging.basicConfig(handlers=[account])
    log = logging.getLogger("till.checkout")
    log.setLevel(logging.DEBUG)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        account.next = ({"cart.id": 7}, {})
        log.log(level, "level %s of %d", logging.getLevelName(level), level, extra={"cart.id": 7})
    with trace.get_tracer("till", "1.4.0").start_as_current_span("checkout") as span:
        account.next = ({"user.id": "u-42"}, {"actorId": "u-42"})
        log.info("inside the span", extra={"user.id": "u-42"})
        try:
            refuse()
        except ValueError as error:
            attributes = {
                "exception.type": "ValueError",
                "exception.message": "no such cart",
                "exception.stacktrace": "".join(traceback.format_exception(error)),
            }
            account.next = (attributes, {"action": "exception"})
            log.exception("refused")
        if "sqlite3" in sys.argv:
            query(span)
    report_span(span, {})


def refuse() -> None:
    """Fail."""
    raise ValueError("no such cart")


def query(parent: trace.Span) -> None:
    """A statement, which the instrumentation of sqlite3 turns into a span."""
    began_ns = time.time_ns()
    connection = sqlite3.connect(":memory:")
    connection.cursor().execute(STATEMENT, ("table",))
    connection.close()
    now = {"$between": [began_ns, time.time_ns()]}
    scope = SimpleNamespace(
        name="opentelemetry.instrumentation.sqlite3", version="0.66b1", attributes=None
    )
    attributes = {"db.system": "sqlite", "db.statement": STATEMENT}
    record = record_of("span", attributes, parent.resource, scope)
    record.update(
        createdAt=now,
        durationNs={"$between": [0, time.time_ns() - began_ns]},
        action="SELECT",
        message={"$pattern": r"SELECT UNSET \d+\.\d ms"},
        traceId=f"{parent.context.trace_id:032x}",
        spanId={"$pattern": "[0-9a-f]{16}"},
        parentSpanId=f"{parent.context.span_id:016x}",
    )
    schema = {"$pattern": r"https://opentelemetry\.io/schemas/[0-9.]+"}
    record["metadata"]["otel"] = {"schema_url": schema}
    record["metadata"]["span"] = {
        "name": "SELECT",
        "kind": "CLIENT",
        "status": {"code": "UNSET"},
        "start_ns": now,
        "end_ns": now,
        "flags": 0x100,
    }
    report(record)


if __name__ == "__main__":
    main()
