"""Damage of a pack, of every kind: a flipped bit, a missing or truncated file, another pack in its place.

for how in WAYS:
    spoil(how, path, other, folder)
"""

from pathlib import Path

from storage.packs.pack import Pack
from storage.packs.store import PackStore
from storage.packs.writer import PackWriter


def replace(path, data: bytes) -> None:
    """Another file in the place of this one."""
    path.unlink()
    path.write_bytes(data)


def flip(path, at: int, bit: int = 3) -> None:
    """Another file with one bit flipped."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    replace(path, bytes(data))


def opened_at(path: Path) -> Pack:
    """The pack of a data file."""
    return PackStore(path.parent.parent).read(path.parent.name, int(path.stem))


def of_column(path, name: str) -> int:
    """A place in the page of a column of the first block."""
    opened = opened_at(path)
    number = [spec.name for spec in opened.plan.columns].index(name)
    return int(opened.blocks[0]["at"]) + int(opened._pages[0][number]["at"]) + 2


def of_section(path, name: str) -> int:
    """A place in a section of the index."""
    opened = opened_at(path)
    return opened.index.header["sections"][name][0] + 1


def older(path, folder) -> None:
    """A valid pack of the same segment that lacks a row."""
    rows, nonces = opened_at(path).tuples(0)
    writer = PackWriter(folder, int(path.stem), path.parent.name, lambda _: {})
    writer.add(rows[1:], nonces[1:])
    writer.finish()
    for ending in ("parquet", "idx"):
        replace(path.with_suffix(f".{ending}"), (folder / f"{path.stem}.{ending}").read_bytes())


def spoil(how: str, path, other, folder) -> None:
    """Damage a pack; `other` is another one of its class."""
    data, index = path, path.with_suffix(".idx")
    size = data.stat().st_size
    match how:
        case "deleted":
            data.unlink()
        case "without index":
            index.unlink()
        case "truncated":
            replace(data, data.read_bytes()[:-100])
        case "empty":
            replace(data, b"")
        case "index truncated":
            replace(index, index.read_bytes()[:-1])
        case "bit of the rows":
            flip(data, of_column(path, "message"))
        case "bit of the times":
            flip(data, of_column(path, "created_at"))
        case "bit of the footer":
            flip(data, size - 200)
        case "bit of the footer's size":
            flip(data, size - 8)
        case "bit of the index's header":
            flip(index, 40)
        case "bit of the index's size":
            flip(index, 12)
        case "bit of the index's blocks":
            flip(index, of_section(path, "blocks"))
        case "bit of the index's pages":
            flip(index, of_section(path, "pages"))
        case "an older one":
            older(path, folder)
        case "another segment":
            for mine, theirs in ((data, other), (index, other.with_suffix(".idx"))):
                replace(mine, theirs.read_bytes())
        case "data of another segment":
            replace(data, other.read_bytes())
        case "index of another segment":
            replace(index, other.with_suffix(".idx").read_bytes())


WAYS = [
    *("deleted", "without index", "truncated", "empty", "index truncated"),
    *("bit of the rows", "bit of the times", "bit of the footer", "bit of the footer's size"),
    *("bit of the index's header", "bit of the index's size", "bit of the index's blocks"),
    *("bit of the index's pages", "an older one", "another segment"),
    *("data of another segment", "index of another segment"),
]
