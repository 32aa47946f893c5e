"""The five levels of a record, lowest first. Everything that names a level uses this table."""

from enum import IntEnum


class Level(IntEnum):
    """A record's level; the order is the order of severity, the name is PostgreSQL's label."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3
    CRITICAL = 4


LEVEL_NAMES: tuple[str, ...] = tuple(level.name for level in Level)
