"""OTLP/JSON -> the same Export that decode.py makes of protobuf.

Source: opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding": ids in hex, enums as
integers, lowerCamelCase, unknown names ignored. snake_case is read as well: storing nothing
without a word helps nobody. A body of the wrong shape is BadPayload; a wrong value inside one
record rejects that record alone (Export.rejects), so that its neighbours live.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import orjson

from config.settings import LimitSettings
from otlp_receiver.decode import take
from otlp_receiver.errors import BadPayload
from otlp_receiver.export import (
    Export,
    Group,
    Miss,
    Once,
    Pair,
    RawEvent,
    RawLink,
    RawLog,
    RawSpan,
    RawStream,
    Reject,
    Signal,
    Stream,
)
from otlp_receiver.json_text import parse, parse_exactly, scrub
from otlp_receiver.json_values import (
    NeedsExactNumbers,
    WrongValue,
    any_value,
    enum,
    hex_id,
    key_value,
    text,
    uint32,
    uint64,
)
from otlp_receiver.mapping.reasons import BAD_VALUE
from otlp_receiver.memos import MAX_KEY_BYTES, Memos
from otlp_receiver.wire import Tally
from storage.record import Attribute

Row = TypeVar("Row")
Object = dict[str, Any]


def _names(*camel: str) -> dict[str, str]:
    """Every accepted name of the fields, snake_case too, to the one that is read."""
    snake = {"".join([f"_{c.lower()}" if c.isupper() else c for c in name]): name for name in camel}
    return {**snake, **{name: name for name in camel}}


_LOG = _names(
    "timeUnixNano",
    "observedTimeUnixNano",
    "severityNumber",
    "severityText",
    "body",
    "attributes",
    "droppedAttributesCount",
    "flags",
    "traceId",
    "spanId",
    "eventName",
)
_LOG_CAMEL = frozenset(_LOG.values())
_SPAN = _names(
    "traceId",
    "spanId",
    "parentSpanId",
    "traceState",
    "flags",
    "name",
    "kind",
    "startTimeUnixNano",
    "endTimeUnixNano",
    "attributes",
    "droppedAttributesCount",
    "events",
    "droppedEventsCount",
    "links",
    "droppedLinksCount",
    "status",
    "code",
    "message",
    "timeUnixNano",
)
"""Of spans, their events, links and status."""
_STREAM = _names(
    "resource",
    "scope",
    "schemaUrl",
    "attributes",
    "droppedAttributesCount",
    "name",
    "version",
    "resourceLogs",
    "resourceSpans",
    "scopeLogs",
    "scopeSpans",
    "logRecords",
    "spans",
)

_SHORT = {0: "", 1: "", 2: "2", 3: "3", 4: "4"}
SEVERITIES = {
    f"SEVERITY_NUMBER_{name}{_SHORT[step]}": first + step - 1
    for first, name in ((1, "TRACE"), (5, "DEBUG"), (9, "INFO"), (13, "WARN"), (17, "ERROR"),
                        (21, "FATAL"))
    for step in range(1, 5)
} | {"SEVERITY_NUMBER_UNSPECIFIED": 0}  # fmt: skip
SPAN_KINDS = {
    f"SPAN_KIND_{name}": number
    for number, name in enumerate(
        ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    )
}
STATUS_CODES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_LOG_READERS: dict[str, Callable[[object], object]] = {
    "timeUnixNano": uint64,
    "observedTimeUnixNano": uint64,
    "severityNumber": lambda value: enum(value, SEVERITIES),
    "severityText": text,
    "droppedAttributesCount": uint32,
    "flags": uint32,
    "traceId": hex_id,
    "spanId": hex_id,
    "eventName": text,
}
_SPAN_READERS: dict[str, Callable[[object], object]] = {
    "traceId": hex_id,
    "spanId": hex_id,
    "parentSpanId": hex_id,
    "traceState": text,
    "flags": uint32,
    "name": text,
    "kind": lambda value: enum(value, SPAN_KINDS),
    "startTimeUnixNano": uint64,
    "endTimeUnixNano": uint64,
    "timeUnixNano": uint64,
    "droppedAttributesCount": uint32,
    "droppedEventsCount": uint32,
    "droppedLinksCount": uint32,
    "code": lambda value: enum(value, STATUS_CODES),
    "message": text,
}


class JsonReader:
    """Reads one request; made anew for each."""

    def __init__(self, memos: Memos, limits: LimitSettings) -> None:
        self._memos = memos
        self._max_attributes = limits.attributes
        self._tally = Tally(limits.depth)
        self._dirty = False
        self._fresh: dict[Hashable, Pair] = {}
        self._misses: list[Miss] = []

    def logs(self, body: bytes) -> Export:
        """An ExportLogsServiceRequest. Raises BadPayload."""

        def read(document: Object, export: Export) -> None:
            names = ("resourceLogs", "scopeLogs", "logRecords")
            self._read(document, names, self._log, export.logs, export)

        return self._twice(body, Signal.LOGS, read)

    def traces(self, body: bytes) -> Export:
        """An ExportTraceServiceRequest. Raises BadPayload."""

        def read(document: Object, export: Export) -> None:
            names = ("resourceSpans", "scopeSpans", "spans")
            self._read(document, names, self._span, export.spans, export)

        return self._twice(body, Signal.TRACES, read)

    def _twice(self, body: bytes, signal: Signal, read: Callable[[Object, Export], None]) -> Export:
        """Once as fast as can be, and once more where that would have been inexact."""
        for parser in (parse, parse_exactly):
            document, self._dirty, replaced = parser(body)
            self._tally.clear()
            self._fresh, self._misses = {}, []
            export = Export(signal, fresh=self._fresh, misses=self._misses, replaced=replaced)
            if type(document) is not dict:
                raise BadPayload("the body is JSON, but not an object")
            try:
                read(document, export)
            except NeedsExactNumbers:
                continue
            return export
        raise AssertionError  # Decimal is exact

    def _read(
        self,
        document: Object,
        names: tuple[str, str, str],
        read_row: Callable[[object], Row],
        groups: list[Group[RawStream | Stream, Row]],
        export: Export,
    ) -> None:
        resources, scopes, records = names
        for i, resource in enumerate(_list(document, resources, "")):
            at = f"{resources}[{i}]"
            fields = _object(resource, at)
            for j, scope in enumerate(_list(fields, scopes, at)):
                scope_at = f"{at}.{scopes}[{j}]"
                scope_fields = _object(scope, scope_at)
                raw_rows = _list(scope_fields, records, scope_at)
                if not raw_rows:
                    continue
                rows_at = f"{scope_at}.{records}"
                first = export.received
                export.received += len(raw_rows)
                try:
                    stream = self._stream(fields, scope_fields)
                except WrongValue as wrong:
                    where = f"{scope_at if wrong.where.startswith('scope') else at}.{wrong.where}"
                    export.rejects.extend(
                        [Reject(first + n, BAD_VALUE, where) for n in range(len(raw_rows))]
                    )
                    continue
                rows = self._rows(raw_rows, read_row, export, (first, rows_at))
                groups.append(Group(stream, rows))

    def _rows(
        self,
        raw_rows: list[object],
        read_row: Callable[[object], Row],
        export: Export,
        at: tuple[int, str],
    ) -> list[Row]:
        rows: list[Row] = []
        first, where = at
        for n, raw in enumerate(raw_rows):
            try:
                rows.append(read_row(raw))
            except WrongValue as wrong:
                self._tally.clear()
                place = f"{where}[{n}].{wrong.where}".rstrip(".")
                export.rejects.append(Reject(first + n, BAD_VALUE, place))
        return rows

    def _log(self, raw: object) -> RawLog:
        """Hot (loadtests/bench_codec.py)."""
        if type(raw) is not dict:
            raise WrongValue("not an object")
        if self._dirty:
            self._scrub(raw)
        record: Object = raw if _LOG_CAMEL.issuperset(raw) else _renamed(raw, _LOG)
        get = record.get
        attributes = self._attributes(get("attributes"), "attributes")
        body = get("body")
        value = None
        if body is not None:
            try:
                if type(body) is dict and len(body) == 1 and type(body.get("stringValue")) is str:
                    value = body["stringValue"]
                else:
                    value = any_value(body, self._tally)
            except WrongValue as wrong:
                wrong.where = f"body.{wrong.where}"
                raise
        try:
            head = (
                enum(get("severityNumber"), SEVERITIES),
                text(get("severityText")),
                uint32(get("flags")),
                text(get("eventName")),
                uint32(get("droppedAttributesCount")),
            )
            return (
                head,
                uint64(get("timeUnixNano")),
                uint64(get("observedTimeUnixNano")),
                hex_id(get("traceId")),
                hex_id(get("spanId")),
                value,
                attributes,
                take(self._tally) if self._tally.touched else None,
            )
        except WrongValue as wrong:
            wrong.where = _blame(record, _LOG_READERS)
            raise

    def _attributes(self, items: object, where: str) -> list[Attribute | None]:
        """Attributes known by (key, member, content, type). Hot."""
        if type(items) is not list:
            if items is None:
                return []
            raise WrongValue("not a list", where)
        known = self._memos.attributes.young.get
        attributes: list[Attribute | None] = []
        append = attributes.append
        if len(items) > self._max_attributes:
            self._tally.touched = True
            self._tally.cuts[where] = len(items)
            items = items[: self._max_attributes]
        for item in items:
            memo_key: tuple[object, ...] | None = None
            try:
                # The shape that every SDK sends; anything else is for key_value.
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
                self._miss(item, memo_key, attributes, where)
        return attributes

    def _miss(
        self,
        item: object,
        memo_key: tuple[object, ...] | None,
        attributes: list[Attribute | None],
        where: str,
    ) -> None:
        """Read the last of `attributes`, which the younger memo lacks."""
        place = len(attributes) - 1
        key: Hashable = memo_key
        if memo_key is None or memo_key not in self._fresh:
            if memo_key is not None:
                attributes[place] = self._memos.attributes.older(memo_key)
                if attributes[place] is not None:
                    return
            try:
                pair = key_value(item, self._tally)
            except WrongValue as wrong:
                wrong.where = f"{where}[{place}].{wrong.where}".rstrip(".")
                raise
            if memo_key is None or self._tally.touched or len(str(memo_key)) > MAX_KEY_BYTES:
                key = Once()
            self._fresh[key] = pair
        self._misses.append((attributes, place, key, where))

    def _span(self, raw: object) -> RawSpan:
        if type(raw) is not dict:
            raise WrongValue("not an object")
        if self._dirty:
            self._scrub(raw)
        fields = _renamed(raw, _SPAN)
        get = fields.get
        attributes = self._attributes(get("attributes"), "attributes")
        events = [
            self._event(event, f"events[{n}]")
            for n, event in enumerate(_inner_list(fields, "events"))
        ]
        links = [
            self._link(link, f"links[{n}]") for n, link in enumerate(_inner_list(fields, "links"))
        ]
        status = _inner_object(get("status"), "status")
        try:
            code, message = enum(status.get("code"), STATUS_CODES), text(status.get("message"))
        except WrongValue as wrong:
            wrong.where = f"status.{_blame(status, _SPAN_READERS)}"
            raise
        try:
            return RawSpan(
                trace_id=hex_id(get("traceId")),
                span_id=hex_id(get("spanId")),
                parent_span_id=hex_id(get("parentSpanId")),
                trace_state=text(get("traceState")),
                flags=uint32(get("flags")),
                name=text(get("name")),
                kind=enum(get("kind"), SPAN_KINDS),
                start_ns=uint64(get("startTimeUnixNano")),
                end_ns=uint64(get("endTimeUnixNano")),
                attributes=attributes,
                dropped=uint32(get("droppedAttributesCount")),
                events=events,
                dropped_events=uint32(get("droppedEventsCount")),
                links=links,
                dropped_links=uint32(get("droppedLinksCount")),
                status_code=code,
                status_message=message,
                odd=take(self._tally) if self._tally.touched else None,
            )
        except WrongValue as wrong:
            wrong.where = _blame(fields, _SPAN_READERS)
            raise

    def _event(self, raw: object, where: str) -> RawEvent:
        fields = _inner_object(raw, where)
        attributes = self._attributes(fields.get("attributes"), f"{where}.attributes")
        try:
            return RawEvent(
                uint64(fields.get("timeUnixNano")),
                text(fields.get("name")),
                attributes,
                uint32(fields.get("droppedAttributesCount")),
            )
        except WrongValue as wrong:
            wrong.where = f"{where}.{_blame(fields, _SPAN_READERS)}"
            raise

    def _link(self, raw: object, where: str) -> RawLink:
        fields = _inner_object(raw, where)
        attributes = self._attributes(fields.get("attributes"), f"{where}.attributes")
        try:
            return RawLink(
                hex_id(fields.get("traceId")),
                hex_id(fields.get("spanId")),
                text(fields.get("traceState")),
                attributes,
                uint32(fields.get("flags")),
                uint32(fields.get("droppedAttributesCount")),
            )
        except WrongValue as wrong:
            wrong.where = f"{where}.{_blame(fields, _SPAN_READERS)}"
            raise

    def _stream(self, resource: Object, scope: Object) -> RawStream | Stream:
        """Raises WrongValue with a path that begins with `resource`, `scope` or `schemaUrl`."""
        parts = [
            resource.get("resource"),
            scope.get("scope"),
            resource.get("schemaUrl"),
            scope.get("schemaUrl"),
        ]
        replaced = scrub(parts) if self._dirty else 0
        memo_key = _memo_key(parts)
        if memo_key is not None and not replaced:
            known = self._memos.streams.find(memo_key)
            if known is not None:
                return known
        fields = _renamed(_inner_object(parts[0], "resource"), _STREAM)
        scope_fields = _renamed(_inner_object(parts[1], "scope"), _STREAM)
        try:
            stream = RawStream(
                memo_key,
                resource=self._pairs(fields, "resource"),
                resource_dropped=uint32(fields.get("droppedAttributesCount")),
                resource_schema_url=text(parts[2]),
                scope_name=text(scope_fields.get("name")),
                scope_version=text(scope_fields.get("version")),
                scope=self._pairs(scope_fields, "scope"),
                scope_dropped=uint32(scope_fields.get("droppedAttributesCount")),
                scope_schema_url=text(parts[3]),
            )
        except WrongValue as wrong:
            wrong.where = wrong.where or "resource"
            raise
        if self._tally.touched or replaced:
            stream.odd = take(self._tally)
            stream.odd.replaced += replaced
            stream.memo_key = None
        return stream

    def _pairs(self, fields: Object, where: str) -> list[Pair]:
        pairs: list[Pair] = []
        items = _inner_list(fields, "attributes", f"{where}.")
        for n, item in enumerate(items[: self._max_attributes]):
            try:
                pairs.append(key_value(item, self._tally))
            except WrongValue as wrong:
                wrong.where = f"{where}.attributes[{n}].{wrong.where}"
                raise
        return pairs

    def _scrub(self, raw: Object) -> None:
        replaced = scrub(raw)
        if replaced:
            self._tally.touched = True
            self._tally.replaced += replaced


_HASHABLE = frozenset({int, float, bool})
_MAX_STREAM_KEY_BYTES = 65_536


def _memo_key(parts: list[object]) -> bytes | None:
    """Resource and scope as one text; None where they hold what orjson cannot write."""
    try:
        key = orjson.dumps(parts)
    except TypeError:
        return None
    return key if len(key) <= _MAX_STREAM_KEY_BYTES else None


def _renamed(raw: Object, names: dict[str, str]) -> Object:
    """The known fields under their lowerCamelCase names."""
    return {names[name]: value for name, value in raw.items() if name in names}


def _object(raw: object, where: str) -> Object:
    """An envelope; null is an empty one."""
    if raw is None:
        return {}
    if type(raw) is not dict:
        raise BadPayload("the body is not an OTLP export: not an object", where=where)
    return _renamed(raw, _STREAM)


def _list(fields: Object, name: str, where: str) -> list[object]:
    items = _renamed(fields, _STREAM).get(name)
    if items is None:
        return []
    if type(items) is not list:
        path = f"{where}.{name}" if where else name
        raise BadPayload("the body is not an OTLP export: not a list", where=path)
    return items


def _inner_object(raw: object, where: str) -> Object:
    if raw is None:
        return {}
    if type(raw) is not dict:
        raise WrongValue("not an object", where)
    return _renamed(raw, _SPAN) if where not in _ENVELOPES else raw


_ENVELOPES = frozenset({"resource", "scope"})


def _inner_list(fields: Object, name: str, where: str = "") -> list[object]:
    items = fields.get(name)
    if items is None:
        return []
    if type(items) is not list:
        raise WrongValue("not a list", f"{where}{name}")
    return items


def _blame(fields: Object, readers: dict[str, Callable[[object], object]]) -> str:
    """Which field is at fault, found by reading them once more."""
    for name, read in readers.items():
        try:
            read(fields.get(name))
        except WrongValue:
            return name
    return ""
