"""The tree of a trace, also with spans missing."""

from hypothesis import given
from hypothesis import strategies as st

from query.analysis.traces import Span, assembled, services_of


def span(name, parent, start, duration, *, service="shop", is_error=False):
    return Span(name, parent, service, f"do {name}", start, duration, is_error)


def shown(trace):
    return [(node.span.id, node.depth) for node in trace.nodes]


def critical(trace):
    return {node.span.id: node.critical_ns for node in trace.nodes if node.critical_ns}


def test_a_trace_is_a_tree_depth_first_by_start():
    trace = assembled([
        span("c", "a", 50, 30),
        span("a", None, 0, 100),
        span("b", "a", 10, 30),
        span("d", "b", 15, 5),
    ])  # fmt: skip

    assert shown(trace) == [("a", 0), ("b", 1), ("d", 2), ("c", 1)]
    assert (trace.start_ns, trace.duration_ns) == (0, 100)
    assert [node.self_ns for node in trace.nodes] == [40, 25, 5, 30]
    assert trace.missing_parents == []


def test_spans_without_their_parent_are_orphans_and_the_parent_is_named():
    trace = assembled([span("a", None, 0, 10), span("x", "gone", 5, 2), span("y", "gone", 6, 2)])

    assert [node.span.id for node in trace.nodes if node.is_orphan] == ["x", "y"]
    assert trace.missing_parents == ["gone"]


def test_the_critical_path_follows_the_spans_that_ended_last():
    #   a ----------------  0-100
    #     b ----            10-40
    #       c ---------     20-90     ends last: a waited for it
    #         d --          30-50
    trace = assembled([
        span("a", None, 0, 100),
        span("b", "a", 10, 30),
        span("c", "a", 20, 70),
        span("d", "c", 30, 20),
    ])  # fmt: skip

    assert critical(trace) == {"a": 20, "b": 10, "c": 50, "d": 20}
    assert sum(critical(trace).values()) == 100


def test_time_and_errors_are_summed_by_service():
    trace = assembled([
        span("a", None, 0, 100),
        span("b", "a", 0, 60, service="bank", is_error=True),
        span("c", "b", 0, 10, service="bank"),
    ])  # fmt: skip

    shares = services_of(trace)

    assert list(shares) == ["bank", "shop"]
    assert (shares["bank"].spans, shares["bank"].self_ns, shares["bank"].errors) == (2, 60, 1)
    assert shares["shop"].self_ns == 40


def test_cycles_and_duplicates_are_tolerated():
    trace = assembled([
        span("a", "b", 0, 10),
        span("b", "a", 1, 10),
        span("c", "c", 2, 3),
        span("a", "b", 0, 10),
    ])  # fmt: skip

    assert sorted(node.span.id for node in trace.nodes) == ["a", "b", "c"]


def test_no_spans_are_an_empty_trace():
    trace = assembled([])

    assert (trace.nodes, trace.duration_ns) == ([], 0)


SPANS = st.lists(
    st.builds(
        span,
        st.sampled_from("abcdefgh"),
        st.none() | st.sampled_from("abcdefghxy"),
        st.integers(0, 50),
        st.integers(0, 50),
    ),
    max_size=12,
)


@given(SPANS)
def test_every_span_appears_once_and_no_time_is_negative(spans):
    trace = assembled(spans)

    assert sorted(node.span.id for node in trace.nodes) == sorted({item.id for item in spans})
    assert all(node.self_ns >= 0 and node.critical_ns >= 0 for node in trace.nodes)
    for node in trace.nodes:
        assert node.self_ns <= node.span.duration_ns
