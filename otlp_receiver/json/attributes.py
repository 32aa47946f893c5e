"""Attributes of OTLP/JSON, cached by (key, member, content, type)."""

from collections.abc import Hashable

from config.settings import LimitSettings
from otlp_receiver.export import Fresh, Note, Odd, Pair
from otlp_receiver.json.fields import Object, list_of
from otlp_receiver.json.text import compact, scrub
from otlp_receiver.json.values import key_value
from otlp_receiver.memos import MAX_KEY_BYTES, Memos
from otlp_receiver.tally import Tally
from storage.record.record import Attribute

_HASHABLE = frozenset({int, float, bool})


class AttributeReader:
    """Reads the attributes of one request and counts the anomalies of the current record."""

    def __init__(self, memos: Memos, limits: LimitSettings, *, dirty: bool) -> None:
        self.tally = Tally(limits.depth)
        self.remaining_rows = limits.request_rows
        """Remaining records, span events and links of the request."""
        self.dirty = dirty
        """Whether texts may contain NULs or lone surrogates."""
        self.noted: list[Note] = []
        """The notes of the last record that has any; whoever counts them clears this."""
        self._memos = memos
        self._max_attributes = limits.attributes
        self._fresh: list[Fresh] = []
        self._pairs: dict[Hashable, Pair] = {}
        """New attributes of this request, each read once."""

    def read(self, items: object, where: str) -> list[Attribute | None]:
        """Attributes of a record; None for misses, which are redacted later. Hot."""
        if type(items) is not list:
            if items is not None:
                self.tally.note(where, "not a list", compact(items))
            return []
        known = self._memos.attributes.young.get
        attributes: list[Attribute | None] = []
        append = attributes.append
        if len(items) > self._max_attributes:
            self.tally.touched = True
            self.tally.cuts[where] = len(items)
            items = items[: self._max_attributes]
        for item in items:
            memo_key: tuple[object, ...] | None = None
            try:
                # The form that every SDK sends; key_value handles all others.
                ((member, content),) = item["value"].items()
                kind = type(content)
                if kind is str:
                    memo_key = (item["key"], member, content)
                elif kind in _HASHABLE:
                    memo_key = (item["key"], member, content, kind)
                attribute = known(memo_key)
            except (KeyError, TypeError, ValueError, AttributeError):
                attribute = memo_key = None
            append(attribute)
            if attribute is None:
                self._miss(item, memo_key, attributes, (items, where))
        return attributes

    def _miss(
        self,
        item: object,
        memo_key: tuple[object, ...] | None,
        attributes: list[Attribute | None],
        among: tuple[list[object], str],
    ) -> None:
        """Find the last of `attributes` in the older generation, or read it, after a miss.

        `among`: the items that are read, and their path.
        """
        items, where = among
        place = len(attributes) - 1
        pair = None
        if memo_key is not None:
            attributes[place] = self._memos.attributes.older(memo_key)
            if attributes[place] is not None:
                return
            pair = self._pairs.get(memo_key)
        if pair is None:
            before = len(self.tally.notes)
            pair = key_value(item, self.tally)
            if len(self.tally.notes) > before:
                at = next(n for n, one in enumerate(items) if one is item)
                self.tally.place(before, f"{where}[{at}]")
            if pair is None:
                del attributes[place]
                return
            if memo_key is None or self.tally.touched or len(str(memo_key)) > MAX_KEY_BYTES:
                memo_key = None
            else:
                self._pairs[memo_key] = pair
        self._fresh.append((attributes, place, memo_key, pair, where))

    def fresh(self) -> list[Fresh]:
        """The new attributes of the record just read."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def pairs(self, fields: Object, where: str) -> list[Pair]:
        """Attributes of a resource or a scope, which are cached as a whole."""
        items = list_of(fields, "attributes", self.tally, where)[: self._max_attributes]
        pairs = [self._pair(item, f"{where}attributes[{n}]") for n, item in enumerate(items)]
        return [pair for pair in pairs if pair is not None]

    def _pair(self, item: object, where: str) -> "Pair | None":
        before = len(self.tally.notes)
        pair = key_value(item, self.tally)
        if len(self.tally.notes) > before:
            self.tally.place(before, where)
        return pair

    def some(self, items: list[object], where: str) -> list[object]:
        """Span events or links, truncated to the attribute limit and the request's limit."""
        taken = min(len(items), self._max_attributes, self.remaining_rows)
        self.remaining_rows -= taken
        if taken < len(items):
            self.tally.touched = True
            self.tally.cuts[where] = len(items)
        return items[:taken]

    def clean(self, record: Object) -> None:
        """Replace characters that PostgreSQL does not accept in all texts of a record."""
        replaced = scrub(record) if self.dirty else 0
        if replaced:
            self.tally.touched = True
            self.tally.replaced += replaced

    def odd(self) -> Odd | None:
        """The anomalies of the record just read."""
        if not self.tally.touched:
            return None
        odd = self.tally.take()
        if odd.notes:
            self.noted = odd.notes
        return odd
