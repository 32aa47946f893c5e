"""A program that logs by loguru, through logging (the recipe of loguru's own documentation)."""

import logging

from account import LoggingAccount
from loguru import logger


class Propagate(logging.Handler):
    """Forwards to the logger of the same name."""

    def emit(self, record: logging.LogRecord) -> None:
        """The record was created by Loguru; its extras are one attribute."""
        logging.getLogger(record.name).handle(record)


def main() -> None:
    """Bound values arrive as the attribute `extra`."""
    account = LoggingAccount()
    logging.basicConfig(handlers=[account])
    logging.getLogger(__name__).setLevel(logging.DEBUG)
    logger.remove()
    logger.add(Propagate(), format="{message}", level="DEBUG")
    for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        account.next = ({"extra": {"cart.id": 7, "half": 0.5}}, {})
        logger.bind(**{"cart.id": 7, "half": 0.5}).log(level, "level {}", level)


if __name__ == "__main__":
    main()
