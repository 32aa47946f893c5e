"""The Merkle tree of RFC 9162 over the entries' hashes. Pure: no I/O.

A subtree is named (height, place): it has 2**height leaves, the first one place * 2**height.
Complete subtrees never change, so those of every eighth height are stored (ledger_nodes) and all
others are computed from at most 128 of them.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

TILE_HEIGHT = 8
"""Heights between the stored subtrees, as in C2SP tlog-tiles."""
EMPTY_ROOT = sha256(b"").digest()


class Node(NamedTuple):
    """A complete subtree."""

    height: int
    place: int


Subtree = Callable[[Node], bytes]
"""Returns the root of a complete subtree."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one leaf.

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: enough to append leaves and compute the root."""

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        """`edge`: roots of the complete subtrees of `edge_of(size)`, from the left."""
        self.size = size
        self._edge = list(edge)

    def append(self, leaf: bytes) -> list[tuple[Node, bytes]]:
        """Add a leaf hash; returns the subtrees to be stored that it completes."""
        whole = []
        node, place, height = leaf, self.size, 0
        while place & 1:
            node = node_hash(self._edge.pop(), node)
            place >>= 1
            height += 1
            if height % TILE_HEIGHT == 0:
                whole.append((Node(height, place), node))
        self._edge.append(node)
        self.size += 1
        return whole

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._edge:
            return EMPTY_ROOT
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        return root


def edge_of(size: int) -> list[Node]:
    """The complete subtrees that form a tree of this size, from the left.

    >>> edge_of(6)
    [Node(height=2, place=0), Node(height=1, place=2)]
    """
    nodes, first = [], 0
    for height in reversed(range(size.bit_length())):
        if size >> height & 1:
            nodes.append(Node(height, first >> height))
            first += 1 << height
    return nodes


def tile_of(node: Node) -> tuple[int, range]:
    """The height and the places of the stored subtrees from which `node` is computed."""
    height = node.height - node.height % TILE_HEIGHT
    width = 1 << node.height - height
    return height, range(node.place * width, (node.place + 1) * width)


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over all nodes of one height of a complete subtree (a power of two)."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def root_between(first: int, end: int, subtree: Subtree) -> bytes:
    """The root over leaves `first` to `end` (not included) of a subtree that begins at `first`."""
    count = end - first
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return subtree(Node(height, first >> height))
    middle = first + _split(count)
    return node_hash(root_between(first, middle, subtree), root_between(middle, end, subtree))


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The path from leaf `index` to the root of a tree of `size` (RFC 9162, 2.1.3.1)."""
    path: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append(root_between(middle, end, subtree))
            end = middle
        else:
            path.append(root_between(first, middle, subtree))
            first = middle
    return path[::-1]


def sides(index: int, size: int) -> list[str]:
    """The side of each step of the path of `inclusion`: left or right.

    >>> sides(2, 3)
    ['left']
    """
    path: list[str] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        path.append("right" if index < middle else "left")
        first, end = (first, middle) if index < middle else (middle, end)
    return path[::-1]


def consistency(old: int, size: int, subtree: Subtree) -> list[bytes]:
    """The proof that the tree of `old` leaves is a prefix of that of `size` (2.1.4.1)."""
    path: list[bytes] = []
    first, end = 0, size
    while first + old != end:
        middle = _split(end - first)
        if old <= middle:
            path.append(root_between(first + middle, end, subtree))
            end = first + middle
        else:
            path.append(root_between(first, first + middle, subtree))
            first, old = first + middle, old - middle
    if first:
        path.append(root_between(first, end, subtree))
    return path[::-1]


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The root over a list of leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def _split(count: int) -> int:
    """The largest power of two that is less than `count`, which is 2 or more."""
    return 1 << (count - 1).bit_length() - 1
