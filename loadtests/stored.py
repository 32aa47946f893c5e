"""What an installation has stored, in leaves and packs together, for the checks of load tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storage.filtering.filters import And, FieldEquals, Filter, Not
from storage.packs.pack import Pack
from storage.packs.search.coded import coded_attribute
from storage.record.fields import KIND, SOURCE_MODULE, Kind
from tests.support.product import Product

PROBE = "probe"
"""Module of the records that monitoring.py sends."""
_OF_THE_LOAD: Filter = And(
    (Not(FieldEquals(KIND, Kind.AUDIT)), Not(FieldEquals(SOURCE_MODULE, PROBE)))
)
# One statement, so that a segment is either in its leaf or in its pack.
_COUNT = f"""
SELECT (SELECT count(*) FROM system_logs AS l JOIN segments AS s USING (segment)
         WHERE s.state NOT IN ('packed', 'retiring')
           AND l.kind <> 'a' AND l.source_module <> '{PROBE}') AS rows,
       (SELECT array_agg(class || '/' || segment ORDER BY segment) FROM segments
         WHERE state = 'packed') AS packs
"""  # noqa: S608 - a constant
_NUMBERS = """
SELECT (SELECT array_agg(array[{values}]) FROM system_logs AS l JOIN segments AS s USING (segment)
         WHERE s.state NOT IN ('packed', 'retiring') AND l.source_module = '{module}') AS numbers,
       (SELECT array_agg(class || '/' || segment ORDER BY segment) FROM segments
         WHERE state = 'packed') AS packs
"""


@dataclass
class Stored:
    """Reads what is stored; packs do not change, so each is counted once."""

    product: Product
    _counts: dict[str, int] = field(default_factory=dict)

    def rows(self) -> int:
        """The rows of the load, without audit records and probes."""
        rows, names = self.product.sql(_COUNT)[0]
        for name in names or ():
            if name not in self._counts:
                self._counts[name] = self._pack(name).count(_OF_THE_LOAD)
        return int(rows) + sum(self._counts[name] for name in names or ())

    def packs(self) -> list[Pack]:
        """All packs."""
        names = self.product.sql(_COUNT)[0][1]
        return [self._pack(name) for name in names or ()]

    def numbers(self, module: str, attributes: Sequence[str]) -> Iterator[tuple[int, ...]]:
        """Whole-number attributes of all records of a module, in no order."""
        values = ", ".join(f"(l.metadata->'attributes'->>'{name}')::bigint" for name in attributes)
        rows, names = self.product.sql(_NUMBERS.format(values=values, module=module))[0]
        yield from map(tuple, rows or ())
        for name in names or ():
            yield from _numbers(self._pack(name), module.encode(), attributes)

    def _pack(self, name: str) -> Pack:
        folder, _, segment = name.rpartition("/")
        directory = self.product.installation.packs_dir
        assert directory is not None
        return Pack(Path(directory, folder), int(segment))


def _numbers(pack: Pack, module: bytes, attributes: Sequence[str]) -> Iterator[tuple[int, ...]]:
    for block in pack.each_block():
        columns = [coded_attribute(block, pack.plan, name).each() for name in attributes]
        modules = block.get("source_module").values()
        for of, values in zip(modules, zip(*columns, strict=True), strict=True):
            if of == module:
                yield tuple(int(value) for value in values if value is not None)
