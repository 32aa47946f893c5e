"""The spans of a trace as a tree: orphans, critical path, time by service. Pure.

Parents may be missing (sampled, not stored yet, never sent), clocks of hosts may differ, spans may
be duplicated. None of that is an error.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Span:
    """One span, with what the tree needs."""

    id: str
    parent_id: str | None
    service: str
    operation: str
    start_ns: int
    duration_ns: int
    is_error: bool

    @property
    def end_ns(self) -> int:
        """When it ended."""
        return self.start_ns + self.duration_ns


@dataclass(slots=True)
class Node:
    """A span in the tree."""

    span: Span
    depth: int = 0
    is_orphan: bool = False
    """Its parent is missing."""
    self_ns: int = 0
    """Its time not covered by children."""
    critical_ns: int = 0
    """Its part of the critical path: time not covered by spans below it."""
    children: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace as a whole."""

    nodes: list[Node]
    """Depth first, siblings by their start."""
    missing_parents: list[str]
    start_ns: int
    duration_ns: int


def assembled(spans: Iterable[Span]) -> Trace:
    """The tree of these spans."""
    by_id: dict[str, Node] = {}
    for span in sorted(spans, key=lambda item: (item.start_ns, -item.duration_ns)):
        by_id.setdefault(span.id, Node(span))
    roots = _linked(by_id)
    nodes = _in_order(roots)
    missing = {
        node.span.parent_id for node in roots if node.is_orphan and node.span.parent_id is not None
    }
    for node in nodes:
        node.self_ns = node.span.duration_ns - _covered_ns(node)
    if roots:
        _mark_critical(max(roots, key=lambda node: node.span.duration_ns))
    start_ns = min((node.span.start_ns for node in nodes), default=0)
    end_ns = max((node.span.end_ns for node in nodes), default=0)
    return Trace(nodes, sorted(missing), start_ns, end_ns - start_ns)


def _linked(by_id: Mapping[str, Node]) -> list[Node]:
    """Link every span to its parent; the roots are the rest, and one span of each cycle."""
    roots: list[Node] = []
    for node in by_id.values():
        parent_id = node.span.parent_id
        parent = None if parent_id is None else by_id.get(parent_id)
        if parent is not None and not _is_above(by_id, node.span.id, parent):
            parent.children.append(node)
            continue
        node.is_orphan = parent_id is not None
        roots.append(node)
    return roots


def _is_above(by_id: Mapping[str, Node], span_id: str, node: Node) -> bool:
    """Whether the span is the node itself or one of its ancestors."""
    seen: set[str] = set()
    at: Node | None = node
    while at is not None and at.span.id not in seen:
        if at.span.id == span_id:
            return True
        seen.add(at.span.id)
        at = None if at.span.parent_id is None else by_id.get(at.span.parent_id)
    return False


def _in_order(roots: Sequence[Node]) -> list[Node]:
    found: list[Node] = []
    todo = list(reversed(roots))
    while todo:
        node = todo.pop()
        found.append(node)
        for child in node.children:
            child.depth = node.depth + 1
        todo.extend(reversed(node.children))
    return found


def _covered_ns(node: Node) -> int:
    """Time of the span covered by at least one child."""
    covered, reached = 0, node.span.start_ns
    for child in sorted(node.children, key=lambda item: item.span.start_ns):
        begin = max(child.span.start_ns, reached)
        end = min(child.span.end_ns, node.span.end_ns)
        if end > begin:
            covered += end - begin
            reached = end
    return covered


def _mark_critical(root: Node) -> None:
    """Walk backwards from the end: the span that ended last is on the critical path."""
    todo = [(root, root.span.start_ns, root.span.end_ns)]
    while todo:
        node, begin_ns, end_ns = todo.pop()
        at_ns = end_ns
        for child in sorted(node.children, key=lambda item: -item.span.end_ns):
            child_end_ns = min(child.span.end_ns, at_ns)
            child_begin_ns = max(child.span.start_ns, begin_ns)
            if child_end_ns <= child_begin_ns:
                continue
            node.critical_ns += at_ns - child_end_ns
            todo.append((child, child_begin_ns, child_end_ns))
            at_ns = child_begin_ns
        node.critical_ns += max(at_ns - begin_ns, 0)


@dataclass(slots=True)
class ServiceShare:
    """One service's part of a trace."""

    spans: int = 0
    self_ns: int = 0
    errors: int = 0


def services_of(trace: Trace) -> dict[str, ServiceShare]:
    """Each service's part, the one with the longest time first."""
    shares: dict[str, ServiceShare] = defaultdict(ServiceShare)
    for node in trace.nodes:
        share = shares[node.span.service]
        share.spans += 1
        share.self_ns += node.self_ns
        share.errors += node.span.is_error
    return dict(sorted(shares.items(), key=lambda item: -item[1].self_ns))
