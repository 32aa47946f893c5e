"""The tree against a naive implementation of RFC 9162's definitions."""

from hashlib import sha256

import pytest

from storage.ledger.tree.merkle import (
    EMPTY_ROOT,
    Frontier,
    Node,
    consistency,
    edge_of,
    fold,
    inclusion,
    leaf_hash,
    node_hash,
    root_between,
    tile_of,
    tree_root,
)

LEAVES = [leaf_hash(b"%d" % n) for n in range(600)]


def naive_root(leaves):
    """RFC 9162, 2.1.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(naive_root(leaves[:half]), naive_root(leaves[half:]))


def subtree(node):
    width = 1 << node.height
    return naive_root(LEAVES[node.place * width : (node.place + 1) * width])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 255, 256, 257, 600])
def test_appending_gives_the_root_over_all_leaves(size):
    assert tree_root(LEAVES[:size]) == naive_root(LEAVES[:size])
    assert tree_root([]) == EMPTY_ROOT


def test_subtrees_of_every_eighth_height_are_returned_once():
    frontier = Frontier()

    whole = [item for leaf in LEAVES for item in frontier.append(leaf)]

    assert whole == [(Node(8, 0), subtree(Node(8, 0))), (Node(8, 1), subtree(Node(8, 1)))]


def test_a_subtree_of_height_sixteen_is_returned():
    frontier = Frontier()

    whole = [node for _ in range(2**16) for node, _ in frontier.append(LEAVES[0])]

    assert whole[-1] == Node(16, 0)
    assert len(whole) == 257


@pytest.mark.parametrize("size", [1, 5, 256, 300, 513])
def test_a_tree_continues_from_its_edge(size):
    frontier = Frontier(size, [subtree(node) for node in edge_of(size)])
    for leaf in LEAVES[size:]:
        frontier.append(leaf)

    assert frontier.root() == naive_root(LEAVES)


def check_inclusion(leaf, index, size, path, root):
    """RFC 9162, 2.1.3.2."""
    at, last, node = index, size - 1, leaf
    for step in path:
        if at & 1 or at == last:
            node = node_hash(step, node)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            node = node_hash(node, step)
        at >>= 1
        last >>= 1
    return last == 0 and node == root


def test_paths_lead_to_the_root_from_every_leaf():
    for size in (1, 2, 3, 6, 7, 100, 257):
        for index in range(size):
            path = inclusion(index, size, subtree)
            assert check_inclusion(LEAVES[index], index, size, path, naive_root(LEAVES[:size]))


def check_consistency(old, size, path, old_root, root):
    """RFC 9162, 2.1.4.2."""
    if old == size:
        return path == [] and old_root == root
    if old & (old - 1) == 0:
        path = [old_root, *path]
    at, last = old - 1, size - 1
    while at & 1:
        at >>= 1
        last >>= 1
    first = second = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            second = node_hash(second, step)
        at >>= 1
        last >>= 1
    return last == 0 and first == old_root and second == root


def test_an_older_tree_is_proven_to_be_a_prefix():
    for size in (1, 2, 5, 8, 13, 64, 70):
        for old in range(1, size + 1):
            path = consistency(old, size, subtree)
            assert check_consistency(
                old, size, path, naive_root(LEAVES[:old]), naive_root(LEAVES[:size])
            )


def test_any_subtree_is_computed_from_the_stored_ones():
    assert tile_of(Node(0, 5)) == (0, range(5, 6))
    assert tile_of(Node(3, 2)) == (0, range(16, 24))
    assert tile_of(Node(8, 1)) == (8, range(1, 2))
    assert tile_of(Node(9, 1)) == (8, range(2, 4))
    assert fold(LEAVES[16:24]) == subtree(Node(3, 2))
    assert root_between(256, 600, subtree) == naive_root(LEAVES[256:600])
