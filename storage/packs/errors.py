"""Errors of packs."""

from pathlib import Path

from config.errors import OpslogError


class PackDamaged(OpslogError):
    """A file of a pack is missing, truncated, changed, or belongs to another pack."""

    code = "pack_damaged"
    title = "A pack is damaged"

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


class PackMissing(PackDamaged):
    """A file of a pack does not exist."""


def unreadable(path: Path, error: Exception) -> PackDamaged:
    """What an error of the system means for a file of a pack."""
    if isinstance(error, FileNotFoundError):
        remedy = "; rebuild it: opslog packs reindex" if path.suffix == ".idx" else ""
        return PackMissing(path, f"the file is missing{remedy}")
    return PackDamaged(path, f"cannot be read: {getattr(error, 'strerror', None) or error}")


class WritingCancelled(Exception):
    """A writer was cancelled (PackWriter.cancel)."""


class NotPackable(ValueError):
    """The input is not a sequence of complete COPY tuples of system_logs."""


class UnsupportedCondition(ValueError):
    """A filter that must be resolved before a pack can evaluate it."""
