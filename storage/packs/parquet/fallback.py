"""Reads with pyarrow what decode.py does not: footers, and pages in other layouts.

pyarrow is imported on first use: that takes a quarter of a second and 55 MB.
"""

from pathlib import Path
from typing import Any

import numpy as np

from storage.packs.errors import PackDamaged
from storage.packs.parquet.decode import Column
from storage.packs.schema import ColumnSpec, Kind


def open_file(path: Path) -> Any:
    """Open a file with pyarrow. Raises PackDamaged."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise PackDamaged(path, f"not a readable Parquet file: {error}") from error


def read_column(path: Path, spec: ColumnSpec, block: int) -> Column:
    """Read a column of a block. Raises PackDamaged."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        table = open_file(path).read_row_group(block, columns=[spec.name])
        array = table.column(0).combine_chunks()
        if spec.kind is Kind.TIME:
            array = array.cast(pa.int64())
        elif spec.kind is Kind.UUID:
            array = getattr(array, "storage", array)
        values = array.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise PackDamaged(path, f"column {spec.name}: {error}", block=block) from error
    present = [value for value in values if value is not None]
    column = Column(len(values))
    if len(present) < len(values):
        column.valid = np.fromiter([value is not None for value in values], np.bool_, len(values))
    if spec.kind.is_number:
        if spec.kind is Kind.DECIMAL:
            present = [int(value.scaleb(spec.scale)) for value in present]
        column.numbers = np.array(present, np.float64 if spec.kind is Kind.DOUBLE else np.int64)
    else:
        raw = [value.encode() if isinstance(value, str) else value for value in present]
        column.buffer = b"".join(raw)
        column.ends = np.cumsum([0, *map(len, raw)])
    return column
