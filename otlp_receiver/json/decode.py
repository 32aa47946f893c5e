"""OTLP/JSON -> the same Export that protobuf/decode.py returns.

Source: opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding": ids in hex, enums as
integers, lowerCamelCase, unknown names ignored. snake_case is accepted as well: ignoring it would
silently drop data. What cannot be read costs only itself: a value becomes text or its field's
default, with a note (Tally.note); a record or an envelope that is no object is rejected
(Tallies.rejects). A body without anything that can be read is BadPayload.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import orjson

from config.settings import LimitSettings
from otlp_receiver.errors import BadPayload, WrongSignal
from otlp_receiver.export import Export, Group, RawStream, Reject, Stream, Tallies
from otlp_receiver.json.attributes import AttributeReader
from otlp_receiver.json.fields import (
    ENVELOPES,
    NAMES,
    RESOURCE,
    SCOPE,
    Object,
    Reader,
    object_of,
    renamed,
    values_of,
)
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
            return Export(envelopes.tallies, logs=envelopes.read("logs", read_log))

        return self._read(body, read)

    def traces(self, body: bytes) -> Export:
        """An ExportTraceServiceRequest. Raises BadPayload."""

        def read(envelopes: "_Envelopes") -> Export:
            return Export(envelopes.tallies, spans=envelopes.read("traces", read_span))

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
        self._wrong: list[str] = []
        """Paths of the envelopes that cannot be read; how many records they have is unknown."""

    def read(self, signal: str, read_row: ReadRow[Row]) -> Groups[Row]:
        """The rows grouped by resource and scope; rejects go to the tallies.

        An envelope that cannot be read is one reject. Raises BadPayload if there is nothing else,
        WrongSignal if there are envelopes of another signal instead.
        """
        groups: Groups[Row] = []
        resources, scopes, records = ENVELOPES[signal]
        for fields, at in self._messages(renamed(self._document, NAMES), resources, ""):
            for scope_fields, scope_at in self._messages(fields, scopes, f"{at}."):
                first = self.tallies.received
                sent = self._items(scope_fields, records, f"{scope_at}.")
                raw_rows = self._admit(sent, f"{scope_at}.{records}")
                if raw_rows:
                    stream = self._stream((fields, at), (scope_fields, scope_at))
                    rows = self._rows(raw_rows, read_row, first, f"{scope_at}.{records}")
                    groups.append(Group(stream, rows))
        if self._wrong and self.tallies.received == len(self._wrong):
            where = self._wrong[0]
            raise BadPayload(
                f"the body is not an OTLP export: {where} has the wrong structure", where=where
            )
        return groups

    def _messages(self, fields: Object, name: str, where: str) -> "Iterator[tuple[Object, str]]":
        """The envelopes of a repeated field, each with its path."""
        for place, raw in enumerate(self._items(fields, name, where)):
            at = f"{where}{name}[{place}]"
            if raw is None or type(raw) is dict:
                yield renamed(raw or {}, NAMES), at
            else:
                self._refuse(at)

    def _items(self, fields: Object, name: str, where: str) -> list[object]:
        items = fields.get(name)
        if items is not None and type(items) is not list:
            self._refuse(f"{where}{name}")
            return []
        if not items:
            for other, signal in _OTHERS[name].items():
                if fields.get(other):
                    raise WrongSignal(signal)
        return items or []

    def _refuse(self, where: str) -> None:
        self._wrong.append(where)
        self._reject(self.tallies.received, where)
        self.tallies.received += 1

    def _rows(
        self, raw_rows: list[object], read_row: ReadRow[Row], first: int, where: str
    ) -> list[Row]:
        attributes = self._attributes
        rows: list[Row] = []
        for n, raw in enumerate(raw_rows):
            try:
                rows.append(read_row(raw, attributes))
            except WrongValue:
                self._reject(first + n, f"{where}[{n}]")
            if attributes.noted:
                self.tallies.note(attributes.noted, f"{where}[{n}]")
                attributes.noted = []
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

    def _reject(self, position: int, where: str) -> None:
        self.tallies.rejects.append(Reject(position, BAD_VALUE, where))

    def _stream(
        self, resource: tuple[Object, str], scope: tuple[Object, str]
    ) -> RawStream | Stream:
        """Resource and scope; what cannot be read in them is noted in the stream."""
        (envelope, at), (scope_envelope, scope_at) = resource, scope
        parts = [
            envelope.get("resource"),
            scope_envelope.get("scope"),
            envelope.get("schemaUrl"),
            scope_envelope.get("schemaUrl"),
        ]
        attributes = self._attributes
        replaced = scrub(parts) if attributes.dirty else 0
        memo_key = _memo_key(parts)
        known = None if memo_key is None else self._memos.streams.find(memo_key)
        if known is not None and not replaced:
            return known
        tally = attributes.tally
        fields = object_of(parts[0], tally, "resource")
        (dropped,) = values_of(fields, RESOURCE, tally, "resource.")
        pairs = attributes.pairs(fields, "resource.")
        (url,) = values_of({"schemaUrl": parts[2]}, _URL, tally)
        own = len(tally.notes)
        scope_fields = object_of(parts[1], tally, "scope")
        name, version, scope_dropped = values_of(scope_fields, SCOPE, tally, "scope.")
        stream = RawStream(
            memo_key,
            resource=pairs,
            resource_dropped=dropped,
            resource_schema_url=url,
            scope_name=name,
            scope_version=version,
            scope=attributes.pairs(scope_fields, "scope."),
            scope_dropped=scope_dropped,
            scope_schema_url=values_of({"schemaUrl": parts[3]}, _URL, tally)[0],
        )
        if tally.touched or replaced:
            stream.odd = tally.take()
            stream.odd.replaced += replaced
            stream.memo_key = None
            if stream.odd.notes:
                self.tallies.note(stream.odd.notes, at if own else scope_at)
        return stream


_OTHERS: dict[str, dict[str, str]] = {
    name: {names[level]: signal for signal, names in ENVELOPES.items() if name not in names}
    for own in ENVELOPES.values()
    for level, name in enumerate(own)
}
"""The fields that other signals have in the place of an envelope's, with their signals."""
_URL: dict[str, Reader] = {"schemaUrl": text}


def _memo_key(parts: list[object]) -> bytes | None:
    """Resource and scope as one text; None if orjson cannot serialize them."""
    try:
        key = orjson.dumps(parts)
    except TypeError:
        return None
    return key if len(key) <= MAX_STREAM_KEY_BYTES else None
