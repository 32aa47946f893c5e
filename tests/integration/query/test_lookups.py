"""Lookups by one index use cached plans, with that index."""

from uuid import UUID

import pytest

from query.planning.compile import Order, compile_wave
from query.planning.index_use import is_id_lookup, is_unordered_lookup
from query.planning.pages import plan
from storage.database.statements import statement
from storage.filtering.filters import FieldEquals, Or, Text, TimeRange, all_of
from storage.record.fields import ACTION, ACTOR_ID, CORRELATION_ID, ID, RESOURCE_ID, TRACE_ID
from storage.segments.catalogue import Segment
from storage.segments.zone_maps import leaf_of
from tests.integration.query.test_search import BASE_NS, record

TRACE = FieldEquals(TRACE_ID, UUID(int=7))
REQUEST = FieldEquals(CORRELATION_ID, "c-1")
CASES = [
    (TRACE, {"trace"}),
    (all_of(TRACE, TimeRange(BASE_NS, BASE_NS + 10**9), Text("x")), {"trace"}),
    (REQUEST, {"correlation"}),
    (Or((REQUEST, TRACE)), {"correlation", "trace"}),
    (FieldEquals(ACTOR_ID, "u-1"), {"actor"}),
    (FieldEquals(RESOURCE_ID, "o-1"), {"resource"}),
]


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize(("where", "indexes"), CASES)
async def test_a_cached_plan_uses_the_index_of_the_id(store, reader_pool, where, indexes, order):
    await store.put(record(trace_id=b"t" * 16, actor_id="u", resource_id="o", correlation_id="c"))
    rows = await reader_pool.fetch(statement("catalogue"))
    leaves = [leaf_of(Segment(**row)) for row in rows if row["state"] == "open"]
    parts = plan(leaves, where, order)

    wave = compile_wave(
        [type(p)(p.leaf, p.condition, is_lookup=is_unordered_lookup(where)) for p in parts],
        order=order,
        limit=101,
    )
    async with reader_pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")  # the leaf is tiny
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE wave AS {wave.text}")
        any_value = ", ".join(["NULL"] * len(wave.arguments))
        lines = await connection.fetch(f"EXPLAIN EXECUTE wave ({any_value})")
        await connection.execute("DEALLOCATE wave")

    text = "\n".join(line[0] for line in lines)
    assert is_id_lookup(where)
    assert {name for name in ("created", *indexes) if f"_{name}" in text} == indexes


def test_queries_that_scan_are_no_lookups():
    assert not is_id_lookup(all_of(FieldEquals(ACTION, "a"), Text("x")))
    assert not is_id_lookup(Or((TRACE, Text("x"))))
    assert is_unordered_lookup(FieldEquals(ID, UUID(int=1)))
    assert not is_unordered_lookup(FieldEquals(ACTOR_ID, "u"))
