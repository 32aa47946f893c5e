"""Which retention class a record belongs to. One class per level by default, and one for audit."""

from config.levels import LEVEL_NAMES
from storage.record import Record

AUDIT = "audit"
CLASS_BY_LEVEL: tuple[str, ...] = tuple(name.lower() for name in LEVEL_NAMES)


def classify(record: Record) -> str:
    """The retention class of a record."""
    return AUDIT if record.kind == "audit" else CLASS_BY_LEVEL[record.level]
