"""Export -> RedactedExport: redacts every text from a sender.

Each distinct attribute, head, resource and name is redacted once and cached (memos.py); messages
and new attributes of several records go to the redactor in one call (bulk.py). Texts over the
limits are truncated after redaction: half a secret would not be recognized.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

from config.settings import LimitSettings
from otlp_receiver.export import (
    Export,
    Group,
    Head,
    HeadKey,
    LogRow,
    Mark,
    Note,
    Odd,
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
from otlp_receiver.mapping.columns.message import readable, rendered
from otlp_receiver.mapping.columns.texts import cut
from otlp_receiver.mapping.otel_member import head_of
from otlp_receiver.memos import MAX_KEY_BYTES, CleanText, Memos
from otlp_receiver.redaction.bulk import BULK_RECORDS, BulkRedactor, RedactionInput, note_cuts
from otlp_receiver.redaction.limiting import Limiter, RedactorLike
from otlp_receiver.tally import Tally, text_of
from storage.record.record import Attribute, Value


class Redacting:
    """The stage; its state is the memos."""

    def __init__(self, redactor: RedactorLike, limits: LimitSettings, memos: Memos) -> None:
        self._redactor = redactor
        self._limits = limits
        self._memos = memos
        self._heads = memos.heads.young
        self._limiter = Limiter(redactor, limits)
        self._redact_bulk = BulkRedactor(redactor, self._limiter, memos)

    def __call__(self, export: Export) -> RedactedExport:
        """Redact the whole request, record by record on demand."""
        counts = export.tallies.redactions
        return RedactedExport(
            export.tallies,
            self._log_groups(export.logs, counts),
            self._span_groups(export.spans, counts),
        )

    def _log_groups(
        self, groups: Iterable[Group[RawStream | Stream, RawLog]], counts: dict[str, int]
    ) -> Iterator[Group[Stream, LogRow]]:
        for group in groups:
            yield Group(self._stream(group.stream, counts), self._log_rows(group.rows, counts))

    def _span_groups(
        self, groups: Iterable[Group[RawStream | Stream, RawSpan]], counts: dict[str, int]
    ) -> Iterator[Group[Stream, SpanRow]]:
        for group in groups:
            yield Group(self._stream(group.stream, counts), self._spans(group.rows, counts))

    def _log_rows(self, rows: Iterable[RawLog], counts: dict[str, int]) -> Iterator[LogRow]:
        waiting = iter(rows)
        while some := list(islice(waiting, BULK_RECORDS)):
            yield from self._redact_slice(some, counts)

    def _redact_slice(self, rows: list[RawLog], counts: dict[str, int]) -> list[LogRow]:
        """Hot (loadtests/bench_codec.py). No generator: their variables are slow when compiled."""
        inputs: list[RedactionInput] = []
        bodies: list[Attribute | None] = []
        for _, _, _, _, _, body, _, fresh, odd in rows:
            marks: list[Mark] = []
            if body is None or isinstance(body, str):
                inputs.append((body, fresh, marks, odd))
                bodies.append(None)
            else:
                structured, body_odd = self._body(body, marks, odd)
                inputs.append((rendered(body), fresh, marks, body_odd))
                bodies.append(structured)
        results = self._redact_bulk(inputs)
        rows_out: list[LogRow] = []
        for place, row in enumerate(rows):
            head_key, time, observed, trace, span, _, raw_attributes, _, _ = row
            head = self._heads.get(head_key) or self._head(head_key)
            text, odd = results[place]
            marks = inputs[place][2]
            if odd is not None and odd.notes:
                self._redact_notes(odd.notes, marks)
            if head.marks:
                marks.extend(head.marks)
            if marks:
                _count(marks, counts)
            attributes: list[Attribute] = raw_attributes  # type: ignore[assignment] # no None left
            rows_out.append(
                (head, time, observed, trace, span, text, bodies[place], attributes, marks, odd)
            )
        return rows_out

    def _body(
        self, body: Value, marks: list[Mark], odd: Odd | None
    ) -> tuple[Attribute, Odd | None]:
        attribute = self._redactor.attribute("body", readable(body))
        marks.extend([("body", rule, count) for rule, count in attribute.hits])
        if len(attribute.json) > self._limiter.least:
            cuts: dict[str, int] = {}
            attribute = self._limiter.shorten(attribute, cuts)
            if cuts:
                odd = note_cuts(cuts, "", odd)
        return attribute, odd

    def _redact_notes(self, notes: list[Note], marks: list[Mark]) -> None:
        """Redact what was sent in place of readable values; judged by the field's name, too."""
        for note in notes:
            if note.sent is None:
                continue
            attribute = self._redactor.attribute(note.where.rpartition(".")[2], note.sent)
            marks.extend([(f"unreadable.{note.where}", rule, n) for rule, n in attribute.hits])
            if len(attribute.json) > self._limiter.least:
                attribute = self._limiter.shorten(attribute, {})
            note.sent = attribute.value

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
        """Redact a short text: name, status, schema URL."""
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

    def _stream(self, raw: RawStream | Stream, counts: dict[str, int]) -> Stream:
        stream = self._new_stream(raw) if isinstance(raw, RawStream) else raw
        for rule, count in stream.hits:
            counts[rule] = counts.get(rule, 0) + count
        return stream

    def _new_stream(self, raw: RawStream) -> Stream:
        hits: dict[str, int] = {}
        resource = self._redact_attributes(raw.resource, hits)
        scope = self._redact_attributes(raw.scope, hits)
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
        note_marks: list[Mark] = []
        self._redact_notes(raw.odd.notes, note_marks)
        _count(note_marks, hits)
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
            notes=tuple(raw.odd.notes),
        )
        if raw.memo_key is not None:
            size = sum(len(attribute.json) for attribute in (*stream.resource, *stream.scope))
            self._memos.streams.add(raw.memo_key, stream, 4 * size)
        return stream

    def _redact_attributes(self, pairs: list[Pair], hits: dict[str, int]) -> tuple[Attribute, ...]:
        """Redact the attributes of a resource or a scope, which are cached as a whole."""
        own = []
        for attribute in self._redactor.records([(None, pairs)])[0][2]:
            for rule, count in attribute.hits:
                hits[rule] = hits.get(rule, 0) + count
            long = len(attribute.json) > self._limiter.least
            own.append(self._limiter.shorten(attribute, {}) if long else attribute)
        return tuple(own)

    def _spans(self, rows: Iterable[RawSpan], counts: dict[str, int]) -> Iterator[SpanRow]:
        waiting = iter(rows)
        while some := list(islice(waiting, BULK_RECORDS)):
            inputs: list[RedactionInput] = [(None, raw.fresh, [], raw.odd) for raw in some]
            results = self._redact_bulk(inputs)
            for place, raw in enumerate(some):
                yield self._span(raw, inputs[place][2], results[place][1], counts)

    def _span(
        self, raw: RawSpan, marks: list[Mark], odd: Odd | None, counts: dict[str, int]
    ) -> SpanRow:
        notes = _Notes(marks, odd)
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
        if notes.odd is not None and notes.odd.notes:
            self._redact_notes(notes.odd.notes, notes.marks)
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
    """Redactions and anomalies found in the texts of one span."""

    marks: list[Mark]
    odd: Odd | None


def _count(marks: list[Mark], counts: dict[str, int]) -> None:
    for _, rule, count in marks:
        counts[rule] = counts.get(rule, 0) + count
