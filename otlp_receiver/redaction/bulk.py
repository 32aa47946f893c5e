"""Redact messages and new attributes of several records in one call of the redactor."""

from collections.abc import Hashable
from typing import Final, TypeAlias

from otlp_receiver.export import Fresh, Mark, Odd, Pair
from otlp_receiver.memos import Memos
from otlp_receiver.redaction.limiting import Limiter, RedactorLike
from storage.record.record import Attribute

BULK_RECORDS: Final = 50
"""Records per call of the redactor: its first pass costs one call for all of them."""

RedactionInput: TypeAlias = "tuple[str | None, list[Fresh], list[Mark], Odd | None]"
"""One record: message, new attributes, marks so far (extended by the redaction), anomalies."""

_NO_PAIRS: Final[list[Pair]] = []


class BulkRedactor:
    """Redacts several records at a time; its state is the memos."""

    def __init__(self, redactor: RedactorLike, limiter: Limiter, memos: Memos) -> None:
        self._redactor = redactor
        self._limiter = limiter
        self._memos = memos

    def __call__(self, inputs: list[RedactionInput]) -> list[tuple[str | None, Odd | None]]:
        """Redact the messages, and store the redacted new attributes in their records."""
        requests: list[tuple[str | None, list[Pair]]] = []
        pending: list[list[Fresh]] = []
        repeated: list[tuple[int, Fresh]] = []
        seen: set[Hashable] = set()
        for place, (text, fresh, marks, _) in enumerate(inputs):
            if fresh:
                fresh = self._not_cached(fresh, place, marks, seen, repeated)  # noqa: PLW2901
            pending.append(fresh)
            requests.append((text, [item[3] for item in fresh] if fresh else _NO_PAIRS))
        results: list[tuple[str | None, Odd | None]] = []
        for place, (text, hits, attributes) in enumerate(self._redactor.records(requests)):
            _, _, marks, odd = inputs[place]
            if hits:
                marks.extend([("message", rule, count) for rule, count in hits])
            if attributes:
                new = pending[place]
                for index, attribute in enumerate(attributes):
                    odd = self._store(attribute, new[index], marks, odd)
            results.append((text, odd))
        for place, item in repeated:
            self._fill_repeated(item, place, inputs, results)
        return results

    def _not_cached(
        self,
        fresh: list[Fresh],
        place: int,
        marks: list[Mark],
        seen: set[Hashable],
        repeated: list[tuple[int, Fresh]],
    ) -> list[Fresh]:
        """The attributes to redact: neither cached nor already seen in this slice."""
        unknown: list[Fresh] = []
        for item in fresh:
            key = item[2]
            if key is not None:
                if key in seen:
                    repeated.append((place, item))
                    continue
                known = self._memos.marked.find(key)
                if known is not None:
                    _place(known, item, marks)
                    continue
                seen.add(key)
            unknown.append(item)
        return unknown

    def _fill_repeated(
        self,
        item: Fresh,
        place: int,
        inputs: list[RedactionInput],
        results: list[tuple[str | None, Odd | None]],
    ) -> None:
        """Store an attribute that an earlier record of the same slice also has, now cached."""
        key, marks = item[2], inputs[place][2]
        known = self._memos.attributes.find(key) or self._memos.marked.find(key)
        if known is not None:
            _place(known, item, marks)
            return
        text, odd = results[place]
        attribute = self._redactor.attribute(*item[3])
        results[place] = text, self._store(attribute, item, marks, odd)

    def _store(
        self, attribute: Attribute, item: Fresh, marks: list[Mark], odd: Odd | None
    ) -> Odd | None:
        """Store an attribute in its record, truncated to the limits, and cache it."""
        target, place, memo_key, _, where = item
        _place(attribute, item, marks)
        size = len(attribute.json)
        if size > self._limiter.least:
            cuts: dict[str, int] = {}
            target[place] = self._limiter.shorten(attribute, cuts)
            if cuts:
                return note_cuts(cuts, f"{where}.", odd)
        if memo_key is not None:
            memo = self._memos.marked if attribute.hits else self._memos.attributes
            memo.add(memo_key, attribute, 3 * size)
        return odd


def _place(attribute: Attribute, item: Fresh, marks: list[Mark]) -> None:
    target, place, _, _, where = item
    target[place] = attribute
    for rule, count in attribute.hits:
        marks.append((f"{where}.{attribute.key}", rule, count))


def note_cuts(cuts: dict[str, int], where: str, odd: Odd | None) -> Odd:
    """Add the original sizes of what was truncated in an attribute at path `where`."""
    odd = odd or Odd()
    odd.cuts.update({f"{where}{key}": size for key, size in cuts.items()})
    return odd
