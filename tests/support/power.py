"""A power failure: everything stops at once, and only synced data is durable.

The product runs with tests/faults/shims/power on its path, which records each sync. Data that was
written but not synced is lost, partly kept, or becomes zeros; a file whose removal was not durable
reappears. PostgreSQL's own files are not changed: it guarantees and tests the durability of commits.
"""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.product import Product

SHIM = Path(__file__).parent.parent / "faults" / "shims" / "power"


def diary_settings(diary: Path) -> dict[str, str]:
    """Environment of a product that records its syncs."""
    return {"PYTHONPATH": str(SHIM), "TEST_POWER_DIARY": str(diary)}


@dataclass
class Diary:
    """What is durable."""

    sizes: dict[str, int] = field(default_factory=dict)
    """Path to the bytes that were synced."""
    named: set[str] = field(default_factory=set)
    """Paths whose names are durable."""
    ghosts: dict[str, str] = field(default_factory=dict)
    """Path of a removed file to its copy, while its removal is not durable."""

    @classmethod
    def read(cls, path: Path) -> "Diary":
        diary = cls()
        for line in path.read_text().splitlines():
            what, _, rest = line.partition(" ")
            if what == "folder":
                diary._folder(rest)
            elif what == "synced":
                size, _, name = rest.partition(" ")
                diary.sizes[name] = int(size)
            else:
                copy, _, name = rest.partition(" ")
                diary.ghosts[name] = copy
        return diary

    def _folder(self, folder: str) -> None:
        self.named |= {name for name in self.sizes if str(Path(name).parent) == folder}
        for name in [name for name in self.ghosts if str(Path(name).parent) == folder]:
            del self.ghosts[name]


def cut_power(product: Product, diary_path: Path, chance: random.Random) -> dict[str, int]:
    """Stop everything at once and remove what was not synced; returns the amounts."""
    product.kill_all()
    diary = Diary.read(diary_path)
    taken = {"bytes": 0, "files": 0, "ghosts": 0}
    for path in (product.data_dir / "spool").glob("*/*.spool"):
        name = str(path)
        if name not in diary.named or name not in diary.sizes:
            path.unlink()
            taken["files"] += 1
            continue
        taken["bytes"] += _spoil_tail(path, diary.sizes[name], chance)
    for name, copy in diary.ghosts.items():
        if not Path(name).exists() and Path(copy).exists():
            os.link(copy, name)
            taken["ghosts"] += 1
    for copy in diary_path.parent.glob(f"{diary_path.name}.*"):
        copy.unlink()
    diary_path.write_text("")  # the next life begins with what is there now, all of it durable
    for path in (product.data_dir / "spool").glob("*/*.spool"):
        with diary_path.open("a") as file:
            file.write(f"synced {path.stat().st_size} {path}\nfolder {path.parent}\n")
    return taken


def _spoil_tail(path: Path, safe: int, chance: random.Random) -> int:
    """Cut, partly keep, or zero what follows the first `safe` bytes."""
    size = path.stat().st_size
    if size <= safe:
        return 0
    how = chance.choice(("cut", "part", "zeros"))
    keep = {"cut": safe, "part": chance.randint(safe, size), "zeros": safe}[how]
    os.truncate(path, keep)
    if how == "zeros":
        os.truncate(path, size)
    return size - keep
