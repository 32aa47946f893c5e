"""Work on many blocks of many packs in any order, by several threads."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from query.planning.compile import LeafFilter
from query.planning.explain import Explain, Skipped
from query.planning.packed.filtering import BlockFilter
from query.planning.packed.reading import PackReader
from storage.packs.errors import PackDamaged
from storage.packs.pack import Pack
from storage.packs.parquet.encode import Array

THREADS = 2
"""Threads of one scan: decompression and NumPy do not wait for each other."""
_WAIT_S = 0.001
"""For a pack that another thread opens."""
_TOGETHER = 4
"""Blocks of one step; the next ones are fetched from disk meanwhile."""
_RELEASE_EVERY = 64
"""Blocks after which the file's pages are given back."""


@dataclass(slots=True)
class BlocksOf:
    """A pack of which blocks are looked at."""

    part: LeafFilter
    pack: Pack
    filter: BlockFilter
    searched: Array | None = None
    """Rows of each block that must be searched; None: all."""


class BlocksScan(ABC):
    """Opens packs and looks at blocks. Each step does one or the other; threads may share it."""

    def __init__(
        self, packs: PackReader, parts: Sequence[LeafFilter], *, most_scanned: int | None = None
    ) -> None:
        self._packs = packs
        self._parts = deque(parts)
        self._blocks: deque[tuple[BlocksOf, Sequence[int]]] = deque()
        """Blocks that are taken together."""
        self._most_scanned = most_scanned
        self._lock = threading.Lock()
        self._opening = 0
        self._has_opened = threading.Condition(self._lock)
        self.scanned = 0
        """Rows that were searched."""
        self.unreadable: dict[int, LeafFilter] = {}
        """Segments whose pack could not be read, or not all of it."""
        self.explain = Explain()
        """Counts what is read; the caller may set its own."""

    @abstractmethod
    def _opened(self, of: BlocksOf) -> Sequence[int]:
        """What a pack tells at once; the blocks to look at."""

    @abstractmethod
    def _look(self, of: BlocksOf, number: int) -> None:
        """Look at a block."""

    @property
    @abstractmethod
    def has_counted(self) -> bool:
        """Whether anything was found."""

    @property
    def left(self) -> list[LeafFilter]:
        """What was not, or not completely, looked at."""
        begun = {of.part.leaf.segment: of.part for of, _ in self._blocks}
        return [*begun.values(), *self._parts]

    def step(self) -> bool:
        """Open a pack or look at a few blocks; whether nothing is left to begin."""
        if self._most_scanned is not None and self.scanned > self._most_scanned:
            return True
        of = part = None
        with self._lock:
            if self._blocks:
                of, numbers = self._blocks.popleft()
            elif self._parts:
                part = self._parts.popleft()
                self._opening += 1
            elif self._opening:
                self._has_opened.wait(_WAIT_S)
                return False
        if of is not None:
            self._look_at(of, numbers)
        elif part is not None:
            self._open(part)
        return of is None and part is None

    def _look_at(self, of: BlocksOf, numbers: Sequence[int]) -> None:
        for number in numbers:
            try:
                self._look(of, number)
            except PackDamaged as error:
                self._note(of.part, error)
                continue
            rows = int(of.pack.blocks["rows"][number])
            with self._lock:
                self.scanned += rows if of.searched is None else int(of.searched[number])
                self.explain.blocks_read += 1
                self.explain.rows_scanned += rows
        with self._lock:
            ahead = next((more for other, more in self._blocks if other is of), None)
        if ahead is not None:
            of.pack.fetch(ahead, of.filter.columns)
        if numbers[0] % _RELEASE_EVERY < len(numbers):
            of.pack.release()

    def _open(self, part: LeafFilter) -> None:
        taken: list[tuple[BlocksOf, Sequence[int]]] = []
        try:
            pack = self._packs.open(part.leaf)
            of = BlocksOf(part, pack, BlockFilter(part.condition, pack))
            blocks = self._opened(of)
            of.pack.fetch(blocks[: 2 * _TOGETHER], of.filter.columns)
            taken = [
                (of, blocks[begin : begin + _TOGETHER])
                for begin in range(0, len(blocks), _TOGETHER)
            ]
            with self._lock:
                self.explain.packs_read += 1
                self.explain.blocks += len(pack.blocks)
                self.explain.skip_blocks(Skipped.TEMPLATES, len(pack.blocks) - len(blocks))
        except PackDamaged as error:
            self._note(part, error)
            with self._lock:
                self.explain.skip_segments(Skipped.UNREADABLE)
        finally:
            with self._lock:
                self._opening -= 1
                self._blocks.extend(taken)
                self._has_opened.notify_all()

    async def finish(self, deadline_s: float) -> bool:
        """Run to the end in several threads; whether it ended in time. Raises BadInput."""
        ended = await asyncio.gather(
            *[self._packs.finish(self, deadline_s) for _ in range(THREADS)]
        )
        self.explain.skip_segments(Skipped.LIMIT, len(self._parts))
        self.explain.skip_blocks(Skipped.LIMIT, sum(len(numbers) for _, numbers in self._blocks))
        return all(ended)

    def _note(self, part: LeafFilter, error: PackDamaged) -> None:
        with self._lock:
            self.unreadable[part.leaf.segment] = part
        self._packs.report(part.leaf.segment, error)
