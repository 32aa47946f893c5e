"""A program that logs by logfire, which sends its logs as spans."""

import logfire
from account import SpanAccount


def main() -> None:
    """Levels, arguments, a span with a log inside, an exception."""
    logfire.configure(
        send_to_logfire=False, console=False, additional_span_processors=[SpanAccount({})]
    )
    for level in ("debug", "info", "warn", "error", "fatal"):
        getattr(logfire, level)("level {level} of {n}", level=level, n=5, tags=["a", "b"])
    try:
        with logfire.span("checkout of {cart}", cart=7):
            logfire.info("inside the span")
            refuse()
    except ValueError:
        pass
    logfire.shutdown()


def refuse() -> None:
    """Fail."""
    raise ValueError("no such cart")


if __name__ == "__main__":
    main()
