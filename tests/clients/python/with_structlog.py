"""A program that logs by structlog, through logging."""

import logging

import structlog
from account import LoggingAccount


def main() -> None:
    """Bound values and arguments become attributes."""
    account = LoggingAccount()
    logging.basicConfig(handlers=[account])
    logging.getLogger("till.structlog").setLevel(logging.DEBUG)
    structlog.configure(
        processors=[structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    log = structlog.get_logger("till.structlog").bind(**{"user.id": "u-42"})
    for level in ("debug", "info", "warning", "error", "critical"):
        account.next = (
            {"user.id": "u-42", "n": 1, "half": 0.5, "tags": ["a", "b"]},
            {"actorId": "u-42"},
        )
        getattr(log, level)(f"level {level}", n=1, half=0.5, tags=["a", "b"])


if __name__ == "__main__":
    main()
