"""Explanations of the parts of a request add up."""

import contextvars

from query.planning.explain import EXPLAINED, Explain, Skipped, Stage, add_explained


def part():
    explain = Explain(
        segments=10, leaves_read=1, packs_read=2, blocks=9, blocks_read=3, rows_scanned=50
    )
    explain.rows_found = 4
    explain.skip_segments(Skipped.CATALOGUE, 7)
    explain.skip_blocks(Skipped.SIGNATURE, 6)
    explain.skip_blocks(Skipped.LIMIT, 0)
    explain.spend(Stage.OPEN, 0.002)
    return explain


def test_parts_add_up_if_the_request_wants_an_explanation():
    def request():
        EXPLAINED.set(Explain())
        add_explained(part())
        add_explained(part())
        return EXPLAINED.get().shown()

    shown = contextvars.copy_context().run(request)

    assert shown == {
        "segments": {
            "considered": 20,
            "skipped": {"catalogue": 14},
            "leavesRead": 2,
            "packsRead": 4,
        },
        "blocks": {"considered": 18, "skipped": {"signature": 12}, "read": 6},
        "rows": {"scanned": 100, "found": 8},
        "stagesMs": {"open": 4.0},
    }


def test_other_requests_have_none():
    add_explained(part())

    assert EXPLAINED.get() is None
