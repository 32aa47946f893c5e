"""The list of traces has each whole trace once, whatever is missing, doubled or unordered in it."""

import random
from datetime import datetime

import pytest

from query.api.records.traces.search import FoundTraces
from tests.integration.query.test_search import BASE_NS, record

MS = 10**6
START = "2026-09-01T00:00:00Z"
SERVICES = ("shop", "bank", "mail", "rare")
ERROR = 3


def random_span(chance, number, at):
    """The span `at` of a trace, whose parent is one before it; ids of two may be equal."""
    parent = None if at == 0 else bytes([chance.randrange(at), number]).ljust(8, b"s")
    return {
        "kind": "span",
        "trace_id": bytes([number, 1]).ljust(16, b"t"),
        "span_id": bytes([chance.choice([at, at, max(at - 1, 0)]), number]).ljust(8, b"s"),
        "parent_span_id": parent,
        "duration_ns": chance.choice([None, chance.randrange(300) * MS]),
        "level": chance.choice([1, 1, 1, 1, ERROR]),
        "source_module": chance.choice(SERVICES[: 3 + (number % 10 == 0)]),
        "action": f"do {at % 3}",
        "offset": (number * 37 + at * 11 + chance.randrange(500)) * MS + number * 10 + at,
    }


def random_trace(chance, number):
    """Spans of a trace in any order; some without a root, some stored twice."""
    spans = [random_span(chance, number, at) for at in range(chance.randrange(1, 9))]
    if chance.random() < 0.4:
        del spans[0]
    if chance.random() < 0.3 and spans:
        spans.append(dict(chance.choice(spans)))
    chance.shuffle(spans)
    return spans


def key(span):
    return span["span_id"], span["source_module"], span["action"], span["offset"]


class Whole:
    """A trace, by brute force."""

    def __init__(self, spans):
        rows = sorted({key(span): span for span in spans}.values(), key=lambda s: s["offset"])
        self.spans = rows
        ids = {span["span_id"] for span in rows}
        roots = [span for span in rows if span["parent_span_id"] is None]
        tops = roots or [span for span in rows if span["parent_span_id"] not in ids] or rows
        self.has_root, self.top = bool(roots), tops[0]
        self.start = rows[0]["offset"]
        self.duration = max(s["offset"] + (s["duration_ns"] or 0) for s in rows) - self.start
        self.errors = sum(span["level"] >= ERROR for span in rows)

    def first(self, given):
        """When the first of its spans that match started; None: none matches."""
        begins = [
            span["offset"]
            for span in self.spans
            if given.get("service", span["source_module"]) == span["source_module"]
            and given.get("sourceModule", span["source_module"]) == span["source_module"]
            and (given.get("q") is None or span["action"] == "do 2")
            and given.get("operation", span["action"]) == span["action"]
            and (given.get("status") != "error" or span["level"] >= ERROR)
        ]
        least = int(given.get("minDuration", "0ms")[:-2]) * MS
        is_error = self.top["level"] >= ERROR
        if (
            not begins
            or self.duration < least
            or (given.get("status") == "ok" and self.errors)
            or ("rootStatus" in given and not self.has_root)
            or given.get("rootStatus") not in {None, "error" if is_error else "ok"}
        ):
            return None
        return begins[0]


def shown(whole):
    return (
        whole.top["trace_id"].hex(),
        *(whole.top["span_id"].hex(), whole.has_root, whole.duration, whole.errors),
        *(len(whole.spans), {span["source_module"] for span in whole.spans}),
    )


def found(item):
    return (
        *(item.trace_id, item.span_id, item.has_root, item.duration_ns, item.errors),
        *(item.spans, set(item.services)),
    )


@pytest.fixture
async def traces(store):
    """Many traces, whose spans arrive in any order, in several segments."""
    chance = random.Random(7)
    traces = [random_trace(chance, number) for number in range(40)]
    spans = [span for trace in traces for span in trace]
    chance.shuffle(spans)
    for begin in range(0, len(spans), 25):
        await store.put(
            *[
                record(span["offset"], **{k: v for k, v in span.items() if k != "offset"})
                for span in spans[begin : begin + 25]
            ],
            record(begin * MS, message="a log", trace_id=b"l" * 16),
        )
        if begin % 75 == 0:
            for name in ("info", "error"):
                await store.roll(name)
    return [Whole(trace) for trace in traces if trace]


GIVEN = [
    {},
    {"service": "shop"},
    {"service": "rare"},
    {"service": "bank", "operation": "do 1"},
    {"status": "error"},
    {"status": "ok"},
    {"minDuration": "400ms"},
    {"rootStatus": "ok", "service": "mail"},
    {"rootStatus": "error"},
    {"service": "nobody"},
    {"q": "action:/2$/"},
    {"sourceModule": "mail", "status": "error", "operation": "do 2"},
]


@pytest.mark.parametrize("given", GIVEN, ids=str)
async def test_every_trace_is_listed_once_at_its_first_span(server, traces, given, monkeypatch):
    monkeypatch.setattr("query.planning.trace_list._LEAST", 10)
    expected = sorted(
        [(whole.first(given), whole) for whole in traces if whole.first(given) is not None],
        key=lambda pair: pair[0],
    )
    for order, limit in (("asc", 7), ("desc", 7), ("desc", 100)):
        wanted = expected if order == "asc" else expected[::-1]
        pages, cursor = [], {}
        while True:
            response = await server.get(
                "/api/v1/traces", start=START, order=order, limit=limit, **given, **cursor
            )
            page = FoundTraces.model_validate_json(await response.text())
            pages += page.data
            assert len(page.data) <= limit
            if page.next_cursor is None:
                break
            cursor = {"cursor": page.next_cursor}
        assert list(map(found, pages)) == [shown(whole) for _, whole in wanted]
        starts = [datetime.fromisoformat(str(item.start)).timestamp() for item in pages]
        assert starts == pytest.approx([(BASE_NS + w.start) / 1e9 for _, w in wanted], abs=1e-3)
        assert not any(item.is_cut for item in pages)


async def test_a_trace_with_too_many_spans_is_marked(server, traces, monkeypatch):
    monkeypatch.setattr("query.planning.trace_list.MAX_SPANS", 20)
    page = await server.page("/api/v1/traces", start=START)

    assert any(item["isCut"] for item in page["data"])


async def test_a_page_that_takes_too_long_ends_with_a_cursor(server, traces, monkeypatch):
    monkeypatch.setattr("query.planning.trace_list._LEAST", 10)
    monkeypatch.setattr("query.planning.trace_list.MAX_BATCHES", 1)
    page = await server.page("/api/v1/traces", start=START, limit=1, rootMinDuration="1h")

    assert page["data"] == []
    assert page["nextCursor"]


@pytest.mark.parametrize(
    "given",
    [{"rootStatus": "x"}, {"rootMinDuration": "2s", "rootMaxDuration": "1s"}, {"minDuration": "x"}],
    ids=str,
)
async def test_filters_that_cannot_be_meant_are_refused(server, given):
    response = await server.get("/api/v1/traces", **given)

    assert response.status == 400
    assert (await response.json())["errors"][0]["parameter"] in given
