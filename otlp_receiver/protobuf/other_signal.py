"""Recognize a record of another signal. Not hot.

All requests have the same envelopes, so protobuf would read a span as a log record of unknown
fields, and the sender would read 200 for lost data.

Source: opentelemetry-proto, logs.proto, trace.proto, metrics.proto, profiles.proto: the numbers and
wire types of LogRecord, Span, Metric and Profile.
"""

from collections.abc import Callable
from typing import TypeAlias

from otlp_receiver.errors import WrongSignal
from otlp_receiver.export import Signal
from otlp_receiver.protobuf.wire import FIXED32, FIXED64, LENGTH, VARINT, Malformed, fields

_Fields: TypeAlias = dict[int, int | bytes]
_Types: TypeAlias = dict[int, int]

_TRACE_BYTES, _SPAN_BYTES = 16, 8
_METRIC_DATA = (5, 7, 9, 10, 11)
"""gauge, sum, histogram, exponential_histogram, summary; each has data_points = 1."""
_POINT_NUMBERS = (2, 3, 4, 6)
"""Of a data point: start_time_unix_nano, time_unix_nano, as_double or count, as_int."""


def _types(*groups: tuple[int, tuple[int, ...]]) -> _Types:
    return {number: wire_type for wire_type, numbers in groups for number in numbers}


def _is_log(sent: _Fields) -> bool:
    """It has a time."""
    return 1 in sent or 11 in sent


def _is_span(sent: _Fields) -> bool:
    """Its ids have their sizes."""
    return _size(sent, 1) == _TRACE_BYTES and _size(sent, 2) == _SPAN_BYTES


def _is_metric(sent: _Fields) -> bool:
    """It has a data point, with a time or a value."""
    for number in _METRIC_DATA:
        data = sent.get(number)
        if not isinstance(data, bytes):
            continue
        point = _fields(data)
        if point is None or not isinstance(point[0].get(1), bytes):
            continue
        inner = point[0][1]
        times = _fields(inner) if isinstance(inner, bytes) else None
        if times is not None and FIXED64 in {times[1].get(number) for number in _POINT_NUMBERS}:
            return True
    return False


def _is_profile(sent: _Fields) -> bool:
    """It has the time of the collection, and samples."""
    return 3 in sent and 2 in sent


_SHAPES: tuple[tuple[str, _Types, Callable[[_Fields], bool]], ...] = (
    ("metrics", _types((LENGTH, (1, 2, 3, 5, 7, 9, 10, 11, 12))), _is_metric),
    (
        Signal.LOGS.value,
        _types(
            (FIXED64, (1, 11)),
            (VARINT, (2, 7)),
            (LENGTH, (3, 5, 6, 9, 10, 12)),
            (FIXED32, (8,)),
        ),
        _is_log,
    ),
    (
        Signal.TRACES.value,
        _types(
            (LENGTH, (1, 2, 3, 4, 5, 9, 11, 13, 15)),
            (VARINT, (6, 10, 12, 14)),
            (FIXED64, (7, 8)),
            (FIXED32, (16,)),
        ),
        _is_span,
    ),
    (
        "profiles",
        _types((LENGTH, (1, 2, 5, 7, 9, 10, 11)), (FIXED64, (3,)), (VARINT, (4, 6, 8))),
        _is_profile,
    ),
)
"""Signal, wire types of its record's fields, and what a record of it has at least; the strongest
evidence first."""


def refuse_other_signal(raw: bytes, own: Signal) -> None:
    """Raise WrongSignal if `raw`, which is no record of `own`, is one of another signal."""
    found = _fields(raw)
    if found is None:
        return
    sent, types = found
    for name, known, is_one in _SHAPES:
        fits = all(known.get(number) == wire_type for number, wire_type in types.items())
        if name != own.value and fits and is_one(sent):
            raise WrongSignal(name)


def _fields(raw: bytes) -> tuple[_Fields, _Types] | None:
    """First content and wire type of each field; None for what is no message."""
    sent: _Fields = {}
    types: _Types = {}
    try:
        for number, wire_type, content in fields(raw):
            sent.setdefault(number, content)
            types.setdefault(number, wire_type)
    except Malformed:
        return None
    return sent, types


def _size(sent: _Fields, number: int) -> int:
    content = sent.get(number)
    return len(content) if isinstance(content, bytes) else -1
