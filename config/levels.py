"""The five levels of a record, lowest first: the only definition of levels."""

from enum import IntEnum


class Level(IntEnum):
    """A record's level, ordered by severity; the name is PostgreSQL's enum label."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3
    CRITICAL = 4


LEVEL_NAMES: tuple[str, ...] = tuple(level.name for level in Level)
