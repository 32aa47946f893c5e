"""OTLP protobuf -> Export. Invalid protobuf is BadPayload with the field path.

Source: opentelemetry-proto v1. Missing or invalid parts of a record are tolerated and noted
(repair.py, and wire.py within a value). json/decode.py returns the same Export, so there is one
mapping.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from google.protobuf.message import DecodeError
from mypy_extensions import i64

from config.settings import LimitSettings
from otlp_receiver.errors import BadPayload
from otlp_receiver.export import (
    Export,
    Fresh,
    Group,
    HeadKey,
    Note,
    Odd,
    RawEvent,
    RawLink,
    RawLog,
    RawSpan,
    RawStream,
    Reject,
    Signal,
    Stream,
    Tallies,
)
from otlp_receiver.mapping.reject_reasons import BAD_VALUE, TOO_MANY
from otlp_receiver.memos import MAX_KEY_BYTES, MAX_STREAM_KEY_BYTES, Memos
from otlp_receiver.protobuf.bombs import refuse_protobuf_bomb
from otlp_receiver.protobuf.descriptors import (
    LogRecord,
    LogsRequest,
    RawLogsRequest,
    RawTracesRequest,
    Span,
    TracesRequest,
)
from otlp_receiver.protobuf.fast_path import LOG_RECORD, Fields, Scope, field, read, scopes_of
from otlp_receiver.protobuf.locate import locate_error
from otlp_receiver.protobuf.other_signal import refuse_other_signal
from otlp_receiver.protobuf.repair import odd_fields, repaired
from otlp_receiver.protobuf.streams import read_resource, read_scope
from otlp_receiver.protobuf.wire import OTHER_TYPE, any_value, key_value
from otlp_receiver.tally import Tally
from storage.record.record import Attribute

_fields = attrgetter(
    "severity_number",
    "severity_text",
    "flags",
    "event_name",
    "dropped_attributes_count",
    "time_unix_nano",
    "observed_time_unix_nano",
    "trace_id",
    "span_id",
    "body",
    "attributes",
)
FAST_PATH: Final = not __file__.endswith(".py")
"""Whether this module is compiled. Interpreted, the fast path is slower than protobuf's parser."""


class ProtobufReader:
    """Reads one request; create one per request."""

    def __init__(self, memos: Memos, limits: LimitSettings, *, fast_path: bool = FAST_PATH) -> None:
        """`fast_path`: whether to read logs by fast_path.py if possible; the result is the same."""
        self._memos = memos
        self._young = memos.attributes.young
        self._known = memos.attributes.young.get
        self._fast_path = fast_path
        self._fields = Fields()
        self._max_attributes = limits.attributes
        self._remaining_rows = limits.request_rows
        self._tally = Tally(limits.depth)
        self._noted: list[Note] = []
        """The notes of the record just read, to be counted."""
        self._tallies = Tallies()

    def logs(self, body: bytes) -> Export:
        """Read an ExportLogsServiceRequest. Raises BadPayload, also while its rows are read."""
        refuse_protobuf_bomb(body)
        scopes = scopes_of(body) if self._fast_path else None
        if scopes is not None:
            return Export(self._tallies, logs=self._fast_log_groups(body, scopes))
        request = _parsed(LogsRequest, RawLogsRequest, body)
        return Export(self._tallies, logs=self._log_groups(request))

    def traces(self, body: bytes) -> Export:
        """Read an ExportTraceServiceRequest. Raises BadPayload, also while its rows are read."""
        refuse_protobuf_bomb(body)
        request = _parsed(TracesRequest, RawTracesRequest, body)
        return Export(self._tallies, spans=self._span_groups(request))

    def _fast_log_groups(
        self, body: bytes, scopes: list[Scope]
    ) -> Iterator[Group[RawStream | Stream, RawLog]]:
        for scope in scopes:
            at = f"resource_logs[{scope.of.place}]"
            scope_at = f"{at}.scope_logs[{scope.place}]"
            taken = len(self._admit(range(scope.records), f"{scope_at}.log_records"))
            if taken:
                stream = self._stream(scope.of, scope, at, scope_at)
                yield Group(stream, self._fast_log_rows(body, scope, taken, scope_at))

    def _fast_log_rows(self, body: bytes, scope: Scope, taken: int, where: str) -> Iterator[RawLog]:
        at = scope.begin
        place = 0
        while place < taken:
            is_record = body[at] == LOG_RECORD
            begin, at = field(body, at + 1, scope.end)
            if is_record:
                yield self._fast_log_row(body, begin, at)
                if self._noted:
                    self._count_notes(f"{where}.log_records[{place}]")
                place += 1

    def _fast_log_row(self, body: bytes, begin: i64, end: i64) -> RawLog:
        """Hot (loadtests/bench_codec.py). None in a memo: a cache miss."""
        fields = self._fields
        if not read(body, begin, end, fields):
            return self._log_row(self._message(LogRecord, body[begin:end], Signal.LOGS))
        raws = fields.attributes
        head = (fields.number, fields.text, fields.flags, fields.event_name, fields.dropped)
        times = (fields.time_ns, fields.observed_ns)
        ids = (fields.trace_id, fields.span_id)
        value = body[fields.body_begin : fields.body_end]
        return self._row(head, times, ids, value, raws, [self._young.get(raw) for raw in raws])

    def _log_groups(self, request: Any) -> Iterator[Group[RawStream | Stream, RawLog]]:
        for stream, records, where in self._scopes(request, "resource_logs", "log_records"):
            yield Group(stream, self._log_rows(records, where))

    def _span_groups(self, request: Any) -> Iterator[Group[RawStream | Stream, RawSpan]]:
        for stream, spans, where in self._scopes(request, "resource_spans", "spans"):
            yield Group(stream, self._spans(spans, where))

    def _scopes(
        self, request: Any, resources: str, name: str
    ) -> Iterator[tuple[RawStream | Stream, Any, str]]:
        """Each scope with its records and their path.

        Raises BadPayload if envelopes with another wire type, which count as one record, are all
        that the request has.
        """
        self._refuse_odd(request, resources, "")
        scopes = resources.replace("resource", "scope")
        for i, resource in enumerate(getattr(request, resources)):
            at = f"{resources}[{i}]"
            self._refuse_odd(resource, scopes, f"{at}.")
            for j, scope in enumerate(chain(getattr(resource, scopes), resource.old_scopes)):
                scope_at = f"{at}.{scopes}[{j}]"
                self._refuse_odd(scope, name, f"{scope_at}.")
                records = self._admit(getattr(scope, name), f"{scope_at}.{name}")
                if records:
                    stream = self._stream(resource, scope, at, scope_at)
                    yield stream, records, f"{scope_at}.{name}"
        rejects = self._tallies.rejects
        if rejects and self._tallies.received == len(rejects) and rejects[0].reason == BAD_VALUE:
            raise BadPayload("the body is not a protobuf export", where=rejects[0].where)

    def _refuse_odd(self, envelope: Any, name: str, where: str) -> None:
        """Reject each occurrence of a field of envelopes or records that has another wire type."""
        for odd, _ in odd_fields(envelope):
            if odd == name:
                reject = Reject(self._tallies.received, BAD_VALUE, f"{where}{name}")
                self._tallies.rejects.append(reject)
                self._tallies.received += 1

    def _admit(self, records: Any, where: str) -> Any:
        """The records within the request's limit; the others are rejected."""
        sent, taken = len(records), min(len(records), self._remaining_rows)
        self._remaining_rows -= taken
        if taken < sent:
            first = self._tallies.received + taken
            reject = Reject(first, TOO_MANY, f"{where}[{taken}]", sent - taken)
            self._tallies.rejects.append(reject)
        self._tallies.received += sent
        return records if taken == sent else records[:taken]

    def _some(self, items: Any, where: str) -> Any:
        """Span events or links, truncated to the attribute limit and the request's limit."""
        taken = min(len(items), self._max_attributes, self._remaining_rows)
        self._remaining_rows -= taken
        if taken < len(items):
            self._tally.touched = True
            self._tally.cuts[where] = len(items)
        return items[:taken]

    def _log_rows(self, records: Iterable[Any], where: str) -> Iterator[RawLog]:
        for place, record in enumerate(records):
            if isinstance(record, bytes):
                message = self._message(LogRecord, record, Signal.LOGS)
            elif odd_fields(record):
                message = self._message(LogRecord, record.SerializeToString(), Signal.LOGS)
            else:
                message = record
            yield self._log_row(message)
            if self._noted:
                self._count_notes(f"{where}[{place}]")

    def _message(self, message_class: Any, raw: bytes, own: Signal) -> Any:
        """A record of the request; what protobuf cannot read in it is noted and left out.

        Raises WrongSignal for a record of another signal.
        """
        try:
            message = message_class.FromString(raw)
        except DecodeError:
            message = None
        if message is None or (
            _is_odd_span(message) if own is Signal.TRACES else odd_fields(message)
        ):
            refuse_other_signal(raw, own)
            message = message_class.FromString(repaired(message_class.DESCRIPTOR, raw, self._tally))
        return message

    def _count_notes(self, where: str) -> None:
        self._tallies.note(self._noted, where)
        self._noted = []

    def _log_row(self, record: Any) -> RawLog:
        """Hot (loadtests/bench_codec.py). None in a memo: a cache miss."""
        (
            number,
            text,
            flags,
            event_name,
            dropped,
            time_ns,
            observed_ns,
            trace_id,
            span_id,
            bodies,
            raws,
        ) = _fields(record)
        head = (number, text, flags, event_name, dropped)
        body = bodies[0] if len(bodies) == 1 else b"".join(bodies)
        times, ids = (time_ns, observed_ns), (trace_id, span_id)
        return self._row(head, times, ids, body, raws, list(map(self._known, raws)))

    def _row(  # noqa: PLR0917 - hot: keyword arguments are slow
        self,
        head: HeadKey,
        times: tuple[int, int],
        ids: tuple[bytes, bytes],
        body: bytes,
        raws: Any,
        attributes: list[Attribute | None],
    ) -> RawLog:
        """The row of a record's fields; `attributes` are those found in the younger generation."""
        fresh: list[Fresh] = []
        if None in attributes:
            self._miss(attributes, raws, "attributes", fresh)
        tally = self._tally
        before = len(tally.notes) if tally.touched else 0
        value = any_value(body, tally)
        odd = None
        if tally.touched or len(attributes) > self._max_attributes:
            tally.place(before, "body")
            odd = self._odd(attributes)
        return head, times[0], times[1], ids[0], ids[1], value, attributes, fresh, odd

    def _miss(
        self, attributes: list[Attribute | None], raws: Any, where: str, fresh: list[Fresh]
    ) -> None:
        """Find missing attributes in the older generation, or decode them into `fresh`."""
        tally = self._tally
        for place, known in enumerate(attributes):
            if known is not None:
                continue
            if place >= self._max_attributes:
                break  # the rest will be dropped
            raw = raws[place]
            older = attributes[place] = self._memos.attributes.older(raw)
            if older is not None:
                continue
            before = len(tally.notes)
            pair = key_value(raw, tally)
            if len(tally.notes) > before:
                tally.place(before, f"{where}[{place}]")
            # Replaced characters are counted on each occurrence: do not cache.
            remember = len(raw) <= MAX_KEY_BYTES and not tally.touched
            fresh.append((attributes, place, raw if remember else None, pair, where))

    def _attributes(self, raws: Any, where: str, fresh: list[Fresh]) -> list[Attribute | None]:
        """Attributes of a span, an event or a link; new ones are added to `fresh`."""
        attributes = list(map(self._memos.attributes.young.get, raws))
        if not all(attributes):
            self._miss(attributes, raws, where, fresh)
        limit = self._max_attributes
        if len(attributes) > limit:
            self._tally.touched = True
            self._tally.cuts[where] = len(attributes)
            del attributes[limit:]
        return attributes

    def _odd(self, attributes: list[Attribute | None]) -> Odd:
        limit = self._max_attributes
        if len(attributes) > limit:
            self._tally.cuts["attributes"] = len(attributes)
            del attributes[limit:]
        return self._take()

    def _take(self) -> Odd:
        odd = self._tally.take()
        if odd.notes:
            self._noted = odd.notes
        return odd

    def _spans(self, spans: Iterable[Any], where: str) -> Iterator[RawSpan]:
        for place, span in enumerate(spans):
            if isinstance(span, bytes):
                message = self._message(Span, span, Signal.TRACES)
            elif _is_odd_span(span):
                message = self._message(Span, span.SerializeToString(), Signal.TRACES)
            else:
                message = span
            if not message.start_time_unix_nano:
                # Nearly all fields of a metric fit a span; none of them is a time.
                refuse_other_signal(message.SerializeToString(), Signal.TRACES)
            yield self._span(message)
            if self._noted:
                self._count_notes(f"{where}[{place}]")

    def _span(self, span: Any) -> RawSpan:
        fresh: list[Fresh] = []
        attributes = self._attributes(span.attributes, "attributes", fresh)
        events = [
            self._event(event, f"events[{n}]", fresh)
            for n, event in enumerate(self._some(span.events, "events"))
        ]
        links = [
            self._link(link, f"links[{n}]", fresh)
            for n, link in enumerate(self._some(span.links, "links"))
        ]
        status = span.status
        return RawSpan(
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            trace_state=span.trace_state,
            flags=span.flags,
            name=span.name,
            kind=span.kind,
            start_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano,
            attributes=attributes,
            dropped=span.dropped_attributes_count,
            events=events,
            dropped_events=span.dropped_events_count,
            links=links,
            dropped_links=span.dropped_links_count,
            status_code=status.code,
            status_message=status.message,
            fresh=fresh,
            odd=self._take() if self._tally.touched else None,
        )

    def _event(self, event: Any, where: str, fresh: list[Fresh]) -> RawEvent:
        attributes = self._attributes(event.attributes, f"{where}.attributes", fresh)
        return RawEvent(
            event.time_unix_nano, event.name, attributes, event.dropped_attributes_count
        )

    def _link(self, link: Any, where: str, fresh: list[Fresh]) -> RawLink:
        attributes = self._attributes(link.attributes, f"{where}.attributes", fresh)
        return RawLink(
            link.trace_id,
            link.span_id,
            link.trace_state,
            attributes,
            link.flags,
            link.dropped_attributes_count,
        )

    def _stream(self, resource: Any, scope: Any, at: str, scope_at: str) -> RawStream | Stream:
        raw_resource, raw_scope = b"".join(resource.resource), b"".join(scope.scope)
        key = (raw_resource, raw_scope, resource.schema_url, scope.schema_url)
        tally = self._tally
        own = 0
        if not isinstance(scope, Scope):  # messages, not the fast path
            own = self._note_odd(resource, {"resource", "schema_url"})
            self._note_odd(scope, {"scope", "schema_url"})
        if not tally.touched:
            known = self._memos.streams.find(key)
            if known is not None:
                return known
        short = len(raw_resource) + len(raw_scope) <= MAX_STREAM_KEY_BYTES
        stream = RawStream(
            key if short else None,
            resource_schema_url=resource.schema_url,
            scope_schema_url=scope.schema_url,
        )
        read_resource(raw_resource, stream, tally, self._max_attributes)
        own = own or len(tally.notes)
        read_scope(raw_scope, stream, tally, self._max_attributes)
        if tally.touched:
            stream.odd = tally.take()
            stream.memo_key = None
            if stream.odd.notes:
                self._tallies.note(stream.odd.notes, at if own else scope_at)
        return stream

    def _note_odd(self, envelope: Any, names: set[str]) -> int:
        """Note the fields of these names with another wire type; return the number of notes."""
        for name, sent in odd_fields(envelope):
            if name in names:
                self._tally.note(name, OTHER_TYPE, sent)
        return len(self._tally.notes)


def _is_odd_span(span: Any) -> bool:
    return bool(
        odd_fields(span)
        or odd_fields(span.status)
        or any(map(odd_fields, span.events))
        or any(map(odd_fields, span.links))
    )


def _parsed(request_class: Any, raw_class: Any, body: bytes) -> Any:
    """Parse a request; if protobuf cannot read all of its records, with the records as bytes."""
    try:
        return request_class.FromString(body)
    except DecodeError:
        pass
    try:
        return raw_class.FromString(body)
    except DecodeError:
        where, what = locate_error(raw_class.DESCRIPTOR, body)
        raise BadPayload(f"the body is not a protobuf export: {what}", where=where) from None
