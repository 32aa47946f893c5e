"""Export -> RedactedExport: nothing that a sender wrote goes on without the redactor's eyes on it.

Each distinct attribute, head, resource and name is redacted once and remembered (memos.py); the
message and what is new in a record go to the redactor together, in one call.
Texts over the limits are cut here, after redaction: half a secret is not recognised any more.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import cast

from config.settings import LimitSettings
from otlp_receiver.export import (
    Export,
    Group,
    Head,
    HeadKey,
    LogRow,
    Mark,
    Odd,
    Once,
    Pair,
    RawEvent,
    RawLink,
    RawLog,
    RawSpan,
    RawStream,
    RawText,
    RedactedExport,
    SpanEvent,
    SpanLink,
    SpanRow,
    Stream,
)
from otlp_receiver.limiting import Limiter, RedactorLike
from otlp_receiver.mapping.heads import head_of
from otlp_receiver.mapping.texts import cut
from otlp_receiver.memos import MAX_KEY_BYTES, CleanText, Memos
from otlp_receiver.wire import Tally, text_of
from storage.record import Attribute, Value

_Told = tuple[str, Attribute, dict[str, int]]
"""Where an attribute stands, the attribute as redacted, and the sizes of what was cut from it."""

_Special = dict[Hashable, tuple[Attribute, dict[str, int]]]
"""The attributes of which there is something to tell, with the sizes of what was cut."""

_AT_ONCE = 8
"""Attributes in one call of the redactor: where one of them has a secret, all are looked at."""


class Redacting:
    """The stage; its state is the memos."""

    def __init__(self, redactor: RedactorLike, limits: LimitSettings, memos: Memos) -> None:
        self._redactor = redactor
        self._limits = limits
        self._memos = memos
        self._limiter = Limiter(redactor, limits)

    def __call__(self, export: Export) -> RedactedExport:
        """The whole request. What is new in it first, so that memos hold it for the rest."""
        redacted = RedactedExport(export.signal, [], [], export.received, export.rejects)
        redacted.replaced = export.replaced
        told = self._resolve(export)
        for logs in export.logs:
            stream = self._stream(logs.stream, redacted)
            rows = self._log_rows(logs.rows, told, redacted.redactions)
            redacted.logs.append(Group(stream, rows))
        for spans in export.spans:
            stream = self._stream(spans.stream, redacted)
            span_rows = [self._span(span, told, redacted.redactions) for span in spans.rows]
            redacted.spans.append(Group(stream, span_rows))
        return redacted

    def _resolve(self, export: Export) -> dict[int, list[_Told]]:
        """Put an attribute into every place that missed one.

        Returns what is to be told of them in the manifest and the limits, by the id of the list
        that they stand in: most requests have none.
        """
        made, special = self._redact_fresh(export.fresh)
        told: dict[int, list[_Told]] = {}
        for attributes, place, key, where in export.misses:
            attributes[place] = made[key]
            if special and key in special:
                told.setdefault(id(attributes), []).append((where, *special[key]))
        return told

    def _redact_fresh(
        self, fresh: dict[Hashable, Pair]
    ) -> tuple[dict[Hashable, Attribute], _Special]:
        """The attributes by key; of those with something to tell also as redacted, and the cuts."""
        made: dict[Hashable, Attribute] = {}
        special: _Special = {}
        memos, redact = self._memos, self._redactor.record
        for key in fresh if len(memos.marked) else ():
            known = memos.marked.find(key)
            if known is not None:
                made[key] = known
                special[key] = (known, {})
        keys = [key for key in fresh if key not in made] if made else list(fresh)
        least = self._limiter.least
        for first in range(0, len(keys), _AT_ONCE):
            some = keys[first : first + _AT_ONCE]
            _, _, attributes = redact(None, [fresh[key] for key in some])
            plain = dict(zip(some, attributes, strict=True))
            made.update(plain)
            size = 0
            for key, attribute in zip(some, attributes, strict=True):
                size += len(attribute.json)
                if attribute.hits or len(attribute.json) > least or type(key) is Once:
                    del plain[key]
                    made[key] = self._settle(key, attribute, special)
            memos.attributes.add_all(plain, 3 * size)
        return made, special

    def _settle(self, key: Hashable, attribute: Attribute, special: _Special) -> Attribute:
        """One that is long, or in which something was hidden, or that is not to be remembered."""
        cuts: dict[str, int] = {}
        kept = attribute
        if len(attribute.json) > self._limiter.least:
            kept = self._limiter.shorten(attribute, cuts)
        if cuts or attribute.hits:
            special[key] = (attribute, cuts)
        if type(key) is not Once and not cuts:
            memo = self._memos.marked if attribute.hits else self._memos.attributes
            memo.add(key, attribute, 3 * len(attribute.json))
        return kept

    def _log_rows(
        self, raw_rows: list[RawLog], told: dict[int, list[_Told]], counts: dict[str, int]
    ) -> list[LogRow]:
        """The hot loop (loadtests/bench_codec.py)."""
        rows: list[LogRow] = []
        redact, heads = self._redactor.record, self._memos.heads.young.get
        for head_key, time, observed, trace, span, body, raw_attributes, sent_odd in raw_rows:
            head = heads(head_key) or self._head(head_key)
            odd = sent_odd
            marks: list[Mark] = []
            text, structured = None, None
            if type(body) is str:
                if body:
                    text, hits, _ = redact(body, ())
                    if hits:
                        marks = [("message", rule, count) for rule, count in hits]
                else:
                    text = body
            elif body is not None:
                structured, odd = self._body(body, marks, odd)
            if told and id(raw_attributes) in told:
                odd = _tell(told[id(raw_attributes)], marks, odd)
            if head.marks:
                marks.extend(head.marks)
            if marks:
                _count(marks, counts)
            attributes: list[Attribute] = raw_attributes  # type: ignore[assignment] # no misses left
            rows.append(
                (head, time, observed, trace, span, text, structured, attributes, marks, odd)
            )
        return rows

    def _body(
        self, body: Value, marks: list[Mark], odd: Odd | None
    ) -> tuple[Attribute, Odd | None]:
        attribute = self._redactor.attribute("body", body)
        marks.extend([("body", rule, count) for rule, count in attribute.hits])
        if len(attribute.json) > self._limiter.least:
            cuts: dict[str, int] = {}
            attribute = self._limiter.shorten(attribute, cuts)
            if cuts:
                odd = odd or Odd()
                odd.cuts.update(cuts)
        return attribute, odd

    def _head(self, key: HeadKey) -> Head:
        head = self._memos.heads.find(key)
        if head is None:
            number, raw_text, flags, raw_name, dropped = key
            text, text_hits, text_replaced = self._text(raw_text)
            name, name_hits, name_replaced = self._text(raw_name)
            marks = [("severity_text", rule, count) for rule, count in text_hits]
            marks += [("event_name", rule, count) for rule, count in name_hits]
            head = head_of(
                severity_number=number,
                severity_text=text,
                flags=flags,
                event_name=name,
                dropped=dropped,
                marks=tuple(marks),
                replaced=text_replaced + name_replaced,
            )
            if len(raw_text) + len(raw_name) <= MAX_KEY_BYTES:
                self._memos.heads.add(key, head, 4 * len(head.otel))
        return head

    def _text(self, raw: RawText) -> CleanText:
        """A short text: name, status, schema URL."""
        if not raw:
            return "", (), 0
        known = self._memos.texts.find(raw)
        if known is None:
            tally = Tally(0)
            sent = raw if isinstance(raw, str) else text_of(raw, tally)
            text, hits = self._redactor.text(sent)
            known = (cut(text, self._limits.value_bytes), hits, tally.replaced)
            if len(raw) <= MAX_KEY_BYTES:
                self._memos.texts.add(raw, known, 3 * len(raw))
        return known

    def _stream(self, raw: RawStream | Stream, redacted: RedactedExport) -> Stream:
        stream = self._new_stream(raw) if isinstance(raw, RawStream) else raw
        for rule, count in stream.hits:
            redacted.redactions[rule] = redacted.redactions.get(rule, 0) + count
        return stream

    def _new_stream(self, raw: RawStream) -> Stream:
        hits: dict[str, int] = {}
        resource = self._own(raw.resource, hits)
        scope = self._own(raw.scope, hits)
        texts = [
            self._text(text)
            for text in (
                raw.resource_schema_url,
                raw.scope_name,
                raw.scope_version,
                raw.scope_schema_url,
            )
        ]
        for _, text_hits, _ in texts:
            for rule, count in text_hits:
                hits[rule] = hits.get(rule, 0) + count
        stream = Stream(
            resource=resource,
            resource_dropped=raw.resource_dropped,
            resource_schema_url=texts[0][0],
            scope_name=texts[1][0],
            scope_version=texts[2][0],
            scope=scope,
            scope_dropped=raw.scope_dropped,
            scope_schema_url=texts[3][0],
            hits=tuple(hits.items()),
            replaced=raw.odd.replaced + sum(text[2] for text in texts),
        )
        if raw.memo_key is not None:
            size = sum(len(attribute.json) for attribute in (*stream.resource, *stream.scope))
            self._memos.streams.add(raw.memo_key, stream, 4 * size)
        return stream

    def _own(self, pairs: list[Pair], hits: dict[str, int]) -> tuple[Attribute, ...]:
        """Attributes of a resource or a scope, which are remembered as a whole."""
        own = []
        for attribute in self._redactor.record(None, pairs)[2]:
            for rule, count in attribute.hits:
                hits[rule] = hits.get(rule, 0) + count
            long = len(attribute.json) > self._limiter.least
            own.append(self._limiter.shorten(attribute, {}) if long else attribute)
        return tuple(own)

    def _span(self, raw: RawSpan, told: dict[int, list[_Told]], counts: dict[str, int]) -> SpanRow:
        notes = _Notes([], raw.odd)
        if told:
            lists = [raw.attributes]
            lists += [event.attributes for event in raw.events]
            lists += [link.attributes for link in raw.links]
            for attributes in lists:
                notes.odd = _tell(told.get(id(attributes), []), notes.marks, notes.odd)
        row = SpanRow(
            trace_id=raw.trace_id,
            span_id=raw.span_id,
            parent_span_id=raw.parent_span_id,
            trace_state=self._noted(raw.trace_state, "span.trace_state", notes),
            flags=raw.flags,
            name=self._noted(raw.name, "span.name", notes),
            kind=raw.kind,
            start_ns=raw.start_ns,
            end_ns=raw.end_ns,
            attributes=cast("list[Attribute]", raw.attributes),
            dropped=raw.dropped,
            events=[self._event(event, n, notes) for n, event in enumerate(raw.events)],
            dropped_events=raw.dropped_events,
            links=[self._link(link, n, notes) for n, link in enumerate(raw.links)],
            dropped_links=raw.dropped_links,
            status_code=raw.status_code,
            status_message=self._noted(raw.status_message, "span.status.message", notes),
            marks=notes.marks,
            odd=None,
        )
        row.odd = notes.odd
        _count(notes.marks, counts)
        return row

    def _event(self, raw: RawEvent, place: int, notes: "_Notes") -> SpanEvent:
        name = self._noted(raw.name, f"events[{place}].name", notes)
        return SpanEvent(raw.time_ns, name, cast("list[Attribute]", raw.attributes), raw.dropped)

    def _link(self, raw: RawLink, place: int, notes: "_Notes") -> SpanLink:
        return SpanLink(
            raw.trace_id,
            raw.span_id,
            self._noted(raw.trace_state, f"links[{place}].trace_state", notes),
            cast("list[Attribute]", raw.attributes),
            raw.flags,
            raw.dropped,
        )

    def _noted(self, raw: RawText, where: str, notes: "_Notes") -> str:
        text, hits, replaced = self._text(raw)
        if hits:
            notes.marks.extend([(where, rule, count) for rule, count in hits])
        if replaced:
            notes.odd = notes.odd or Odd()
            notes.odd.replaced += replaced
        return text


@dataclass(slots=True)
class _Notes:
    """What the texts of one span bring with them."""

    marks: list[Mark]
    odd: Odd | None


def _tell(told: list[_Told], marks: list[Mark], odd: Odd | None) -> Odd | None:
    """Add what is to be told of a record's attributes to its marks and oddities."""
    for where, attribute, cuts in told:
        place = f"{where}.{attribute.key}"
        marks.extend([(place, rule, count) for rule, count in attribute.hits])
        if cuts:
            odd = odd or Odd()
            odd.cuts.update({f"{where}.{key}": size for key, size in cuts.items()})
    return odd


def _count(marks: list[Mark], counts: dict[str, int]) -> None:
    for _, rule, count in marks:
        counts[rule] = counts.get(rule, 0) + count
