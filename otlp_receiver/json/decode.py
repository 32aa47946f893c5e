"""OTLP/JSON -> the same Export that protobuf/decode.py returns.

Source: opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding": ids in hex, enums as
integers, lowerCamelCase, unknown names ignored. snake_case is accepted as well: ignoring it would
silently drop data. A body of the wrong structure is BadPayload; an invalid value in one record
rejects only that record (Tallies.rejects).
"""

from collections.abc import Callable
from typing import TypeVar

import orjson

from config.settings import LimitSettings
from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Export, Group, RawStream, Reject, Stream, Tallies
from otlp_receiver.json.attributes import AttributeReader
from otlp_receiver.json.fields import RESOURCE, SCOPE, Object, Reader, list_of, object_of, values_of
from otlp_receiver.json.logs import read_log
from otlp_receiver.json.spans import read_span
from otlp_receiver.json.text import Parsed, parse, parse_exactly, scrub
from otlp_receiver.json.values import NeedsExactNumbers, WrongValue, text
from otlp_receiver.mapping.reject_reasons import BAD_VALUE, TOO_MANY
from otlp_receiver.memos import MAX_STREAM_KEY_BYTES, Memos

Row = TypeVar("Row")
ReadRow = Callable[[object, AttributeReader], Row]
Groups = list[Group[RawStream | Stream, Row]]


class JsonReader:
    """Reads one request; create one per request."""

    def __init__(self, memos: Memos, limits: LimitSettings) -> None:
        self._memos = memos
        self._limits = limits

    def logs(self, body: bytes) -> Export:
        """An ExportLogsServiceRequest. Raises BadPayload."""

        def read(envelopes: "_Envelopes") -> Export:
            names = ("resourceLogs", "scopeLogs", "logRecords")
            return Export(envelopes.tallies, logs=envelopes.read(names, read_log))

        return self._read(body, read)

    def traces(self, body: bytes) -> Export:
        """An ExportTraceServiceRequest. Raises BadPayload."""

        def read(envelopes: "_Envelopes") -> Export:
            names = ("resourceSpans", "scopeSpans", "spans")
            return Export(envelopes.tallies, spans=envelopes.read(names, read_span))

        return self._read(body, read)

    def _read(self, body: bytes, read: "Callable[[_Envelopes], Export]") -> Export:
        """Read with fast parsing, and again with exact numbers if required.

        Reads all rows at once, unlike protobuf: even the last row may require exact numbers.
        """
        try:
            return read(self._envelopes(parse(body)))
        except NeedsExactNumbers:
            return read(self._envelopes(parse_exactly(body)))

    def _envelopes(self, parsed: Parsed) -> "_Envelopes":
        if type(parsed.document) is not dict:
            raise BadPayload("the body is JSON but not an object")
        attributes = AttributeReader(self._memos, self._limits, dirty=parsed.is_dirty)
        tallies = Tallies(replaced=parsed.replaced)
        return _Envelopes(parsed.document, tallies, attributes, self._memos)


class _Envelopes:
    """Resources and scopes of one document, with their rows."""

    def __init__(
        self, document: Object, tallies: Tallies, attributes: AttributeReader, memos: Memos
    ) -> None:
        self.tallies = tallies
        self._document = document
        self._attributes = attributes
        self._memos = memos

    def read(self, names: tuple[str, str, str], read_row: ReadRow[Row]) -> Groups[Row]:
        """The rows grouped by resource and scope; rejects go to the tallies."""
        groups: Groups[Row] = []
        resources, scopes, records = names
        for i, resource in enumerate(_items(_message(self._document, ""), resources, "")):
            at = f"{resources}[{i}]"
            fields = _message(resource, at)
            for j, scope in enumerate(_items(fields, scopes, f"{at}.")):
                scope_at = f"{at}.{scopes}[{j}]"
                scope_fields = _message(scope, scope_at)
                first = self.tallies.received
                raw_rows = self._admit(
                    _items(scope_fields, records, f"{scope_at}."), f"{scope_at}.{records}"
                )
                if not raw_rows:
                    continue
                try:
                    stream = self._stream((fields, f"{at}."), (scope_fields, f"{scope_at}."))
                except WrongValue as wrong:
                    self._reject(first, wrong.where, len(raw_rows))
                    continue
                rows = self._rows(raw_rows, read_row, first, f"{scope_at}.{records}")
                groups.append(Group(stream, rows))
        return groups

    def _rows(
        self, raw_rows: list[object], read_row: ReadRow[Row], first: int, where: str
    ) -> list[Row]:
        rows: list[Row] = []
        for n, raw in enumerate(raw_rows):
            try:
                rows.append(read_row(raw, self._attributes))
            except WrongValue as wrong:
                self._reject(first + n, f"{where}[{n}].{wrong.where}".rstrip("."))
        return rows

    def _admit(self, raw_rows: list[object], where: str) -> list[object]:
        """The records within the request's limit; the others are rejected."""
        sent, taken = len(raw_rows), min(len(raw_rows), self._attributes.remaining_rows)
        self._attributes.remaining_rows -= taken
        if taken < sent:
            first = self.tallies.received + taken
            reject = Reject(first, TOO_MANY, f"{where}[{taken}]", sent - taken)
            self.tallies.rejects.append(reject)
        self.tallies.received += sent
        return raw_rows[:taken]

    def _reject(self, position: int, where: str, count: int = 1) -> None:
        self._attributes.tally.clear()
        self._attributes.fresh()
        self.tallies.rejects.append(Reject(position, BAD_VALUE, where, count))

    def _stream(
        self, resource: tuple[Object, str], scope: tuple[Object, str]
    ) -> RawStream | Stream:
        """Raises WrongValue with the full path."""
        (envelope, at), (scope_envelope, scope_at) = resource, scope
        parts = [
            envelope.get("resource"),
            scope_envelope.get("scope"),
            envelope.get("schemaUrl"),
            scope_envelope.get("schemaUrl"),
        ]
        replaced = scrub(parts) if self._attributes.dirty else 0
        memo_key = _memo_key(parts)
        known = None if memo_key is None else self._memos.streams.find(memo_key)
        if known is not None and not replaced:
            return known
        fields = object_of(parts[0], f"{at}resource")
        scope_fields = object_of(parts[1], f"{scope_at}scope")
        (dropped,) = values_of(fields, RESOURCE, f"{at}resource.")
        name, version, scope_dropped = values_of(scope_fields, SCOPE, f"{scope_at}scope.")
        stream = RawStream(
            memo_key,
            resource=self._attributes.pairs(fields, f"{at}resource."),
            resource_dropped=dropped,
            resource_schema_url=values_of({"schemaUrl": parts[2]}, _URL, at)[0],
            scope_name=name,
            scope_version=version,
            scope=self._attributes.pairs(scope_fields, f"{scope_at}scope."),
            scope_dropped=scope_dropped,
            scope_schema_url=values_of({"schemaUrl": parts[3]}, _URL, scope_at)[0],
        )
        if self._attributes.tally.touched or replaced:
            stream.odd = self._attributes.tally.take()
            stream.odd.replaced += replaced
            stream.memo_key = None
        return stream


_URL: dict[str, Reader] = {"schemaUrl": text}


def _memo_key(parts: list[object]) -> bytes | None:
    """Resource and scope as one text; None if orjson cannot serialize them."""
    try:
        key = orjson.dumps(parts)
    except TypeError:
        return None
    return key if len(key) <= MAX_STREAM_KEY_BYTES else None


def _message(raw: object, where: str) -> Object:
    """An envelope; if it is invalid, no single record can be rejected."""
    try:
        return object_of(raw, where)
    except WrongValue as wrong:
        raise _not_an_export(wrong) from None


def _items(fields: Object, name: str, where: str) -> list[object]:
    try:
        return list_of(fields, name, where)
    except WrongValue as wrong:
        raise _not_an_export(wrong) from None


def _not_an_export(wrong: WrongValue) -> BadPayload:
    return BadPayload(f"the body is not an OTLP export: {wrong}", where=wrong.where)
