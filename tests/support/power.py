"""A power cut: everything ends at once, and only what was synced is certain to be there afterwards.

The product runs with tests/faults/shims/power on its path, which keeps a diary of each sync. What
the disk had been given and not been told to keep goes, or stays in part, or comes back as zeros; a
file whose removal was not made durable is there again. PostgreSQL's own files are left as they are:
that a commit survives is its promise, and tested by it.
"""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.product import Product

SHIM = Path(__file__).parent.parent / "faults" / "shims" / "power"


def diary_settings(diary: Path) -> dict[str, str]:
    """Environment of a product that keeps a diary."""
    return {"PYTHONPATH": str(SHIM), "TEST_POWER_DIARY": str(diary)}


@dataclass
class Diary:
    """What is safe."""

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
    """End everything at once and take away what was not synced; what was taken, in figures."""
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
    """Cut, keep in part, or fill with zeros what follows the first `safe` bytes."""
    size = path.stat().st_size
    if size <= safe:
        return 0
    how = chance.choice(("cut", "part", "zeros"))
    keep = {"cut": safe, "part": chance.randint(safe, size), "zeros": safe}[how]
    os.truncate(path, keep)
    if how == "zeros":
        os.truncate(path, size)
    return size - keep
