"""Export -> RedactedExport: nothing that a sender wrote goes on without the redactor's eyes on it.

Each distinct attribute, head, resource and name is redacted once and remembered (memos.py); the
message and what is new in a record go to the redactor together, in one call.
Texts over the limits are cut here, after redaction: half a secret is not recognised any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from config.settings import LimitSettings
from otlp_receiver.export import (
    Export,
    Fresh,
    Group,
    Head,
    HeadKey,
    LogRow,
    Mark,
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
from otlp_receiver.mapping.heads import head_of
from otlp_receiver.mapping.texts import cut, fit
from otlp_receiver.memos import MAX_KEY_BYTES, CleanText, Memos
from otlp_receiver.wire import Tally, text_of
from storage.record import Attribute, Hit, Value


class RedactorLike(Protocol):
    """What this stage asks of storage.redaction.Redactor."""

    def text(self, text: str) -> tuple[str, tuple[Hit, ...]]:
        """A text on its own."""

    def attribute(self, key: str, value: Value) -> Attribute:
        """A key and its value."""

    def record(
        self, text: str | None, fresh: Sequence[Pair]
    ) -> tuple[str | None, tuple[Hit, ...], list[Attribute]]:
        """A message and some attributes in one pass."""


class Redacting:
    """The stage; its state is the memos."""

    def __init__(self, redactor: RedactorLike, limits: LimitSettings, memos: Memos) -> None:
        self._redactor = redactor
        self._limits = limits
        self._memos = memos
        self._longest = min(limits.key_bytes, limits.value_bytes)

    def __call__(self, export: Export) -> RedactedExport:
        """The whole request."""
        redacted = RedactedExport(export.signal, [], [], export.received, export.rejects)
        redacted.replaced = export.replaced
        for logs in export.logs:
            stream = self._stream(logs.stream, redacted)
            redacted.logs.append(Group(stream, self._log_rows(logs.rows, redacted.redactions)))
        for spans in export.spans:
            stream = self._stream(spans.stream, redacted)
            rows = [self._span(span, redacted.redactions) for span in spans.rows]
            redacted.spans.append(Group(stream, rows))
        return redacted

    def _log_rows(self, raw_rows: list[RawLog], counts: dict[str, int]) -> list[LogRow]:
        """The hot loop (loadtests/bench_codec.py)."""
        rows: list[LogRow] = []
        redact, heads = self._redactor.record, self._memos.heads.young.get
        for head_key, time, observed, trace, span, body, attributes, fresh, sent_odd in raw_rows:
            head = heads(head_key) or self._head(head_key)
            marks: list[Mark] = []
            odd = sent_odd
            text, structured = None, None
            if type(body) is str:
                text = body
            elif body is not None:
                holder: list[Attribute | None] = [None]
                fresh.append((holder, 0, None, ("body", body), ""))
                structured = holder
            if fresh:
                text, odd = self._settle(text, fresh, marks, odd)
            elif text:
                text, hits, _ = redact(text, ())
                if hits:
                    marks = [("message", rule, count) for rule, count in hits]
            if head.marks:
                marks.extend(head.marks)
            if marks:
                _count(marks, counts)
            known = cast("list[Attribute]", attributes)
            shown = structured[0] if structured else None
            rows.append((head, time, observed, trace, span, text, shown, known, marks, odd))
        return rows

    def _settle(
        self, text: str | None, fresh: list[Fresh], marks: list[Mark], odd: Odd | None
    ) -> tuple[str | None, Odd | None]:
        """Redact the message and what is new beside it; put each attribute where it belongs."""
        pending: list[Fresh] = []
        marked = self._memos.marked
        for item in fresh:
            known = None if item[2] is None else marked.find(item[2])
            if known is None:
                pending.append(item)
            else:
                item[0][item[1]] = known
                _mark(known, item[4], marks)
        text, hits, made = self._redactor.record(text, [item[3] for item in pending])
        if hits:
            marks.extend([("message", rule, count) for rule, count in hits])
        for (target, place, memo_key, _, where), attribute in zip(pending, made, strict=True):
            kept = attribute
            if attribute.hits:
                _mark(attribute, where, marks)
            if len(attribute.json) > self._longest:
                odd = odd or Odd()
                kept = self._shorten(attribute, where, odd)
            elif memo_key is not None:
                memo = marked if attribute.hits else self._memos.attributes
                memo.add(memo_key, attribute, 3 * len(attribute.json))
            target[place] = kept
        return text, odd

    def _shorten(self, attribute: Attribute, where: str, odd: Odd) -> Attribute:
        """The attribute within the limits. It is redacted, so doing that again changes nothing."""
        limits = self._limits
        size = len(attribute.key.encode())
        key = attribute.key
        if size > limits.key_bytes:
            key = fit(key, limits.key_bytes // 4)  # characters take up to four bytes
            odd.cuts[f"{_where(where, key)} (key)"] = size
        cuts: list[int] = []
        value = _short(attribute.value, limits.value_bytes, cuts)
        if cuts:
            odd.cuts[_where(where, key)] = sum(cuts)
        if key == attribute.key and not cuts:
            return attribute
        return self._redactor.attribute(key, value)

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
        resource: list[Attribute | None] = [None] * len(raw.resource)
        scope: list[Attribute | None] = [None] * len(raw.scope)
        fresh: list[Fresh] = [
            *((resource, place, None, pair, "resource") for place, pair in enumerate(raw.resource)),
            *((scope, place, None, pair, "scope") for place, pair in enumerate(raw.scope)),
        ]
        marks: list[Mark] = []
        if fresh:
            self._settle(None, fresh, marks, None)
        hits: dict[str, int] = {}
        _count(marks, hits)
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
            resource=tuple(cast("list[Attribute]", resource)),
            resource_dropped=raw.resource_dropped,
            resource_schema_url=texts[0][0],
            scope_name=texts[1][0],
            scope_version=texts[2][0],
            scope=tuple(cast("list[Attribute]", scope)),
            scope_dropped=raw.scope_dropped,
            scope_schema_url=texts[3][0],
            hits=tuple(hits.items()),
            replaced=raw.odd.replaced + sum(text[2] for text in texts),
        )
        if raw.memo_key is not None:
            size = sum(len(attribute.json) for attribute in (*stream.resource, *stream.scope))
            self._memos.streams.add(raw.memo_key, stream, 4 * size)
        return stream

    def _span(self, raw: RawSpan, counts: dict[str, int]) -> SpanRow:
        marks: list[Mark] = []
        odd = raw.odd
        if raw.fresh:
            _, odd = self._settle(None, raw.fresh, marks, odd)
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
            marks=marks,
            odd=None,
        )
        row.odd = notes.odd
        _count(marks, counts)
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


def _where(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _mark(attribute: Attribute, where: str, marks: list[Mark]) -> None:
    place = _where(where, attribute.key)
    marks.extend([(place, rule, count) for rule, count in attribute.hits])


def _count(marks: list[Mark], counts: dict[str, int]) -> None:
    for _, rule, count in marks:
        counts[rule] = counts.get(rule, 0) + count


def _short(value: Value, max_bytes: int, cuts: list[int]) -> Value:
    """`value` with each text and each byte string cut to `max_bytes`; sizes go to `cuts`."""
    if isinstance(value, str):
        size = len(value) if value.isascii() else len(value.encode())
        if size > max_bytes:
            cuts.append(size)
            return cut(value, max_bytes)
        return value
    if isinstance(value, bytes) and len(value) > max_bytes:
        cuts.append(len(value))
        return value[:max_bytes]
    if isinstance(value, list):
        return [_short(item, max_bytes, cuts) for item in value]
    if isinstance(value, dict):
        return {key: _short(item, max_bytes, cuts) for key, item in value.items()}
    return value
