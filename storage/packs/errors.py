"""Errors of packs."""

from pathlib import Path


class PackDamaged(Exception):
    """A file of a pack is missing, truncated, changed, or belongs to another pack."""

    def __init__(
        self, path: Path, problem: str, *, block: int | None = None, row: int | None = None
    ) -> None:
        places = [f"{path}"]
        if block is not None:
            places.append(f"block {block}")
        if row is not None:
            places.append(f"row {row}")
        super().__init__(f"{', '.join(places)}: {problem}")
        self.path = path
        self.problem = problem
        self.block = block
        self.row = row


class NotPackable(ValueError):
    """The input is not a sequence of complete COPY tuples of system_logs."""


class UnsupportedCondition(ValueError):
    """A filter that must be resolved before a pack can evaluate it."""
