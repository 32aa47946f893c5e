"""How a query's explanation is printed."""

from opslog.cli.reading.output import print_explanation


def test_counts_reasons_and_times_are_on_a_line_each(capsys):
    print_explanation(
        {
            "segments": {
                "considered": 1340,
                "skipped": {"catalogue": 1300, "pageFull": 29},
                "leavesRead": 1,
                "packsRead": 10,
            },
            "blocks": {"considered": 120, "skipped": {"signature": 100}, "read": 20},
            "rows": {"scanned": 100_000, "found": 100},
            "stagesMs": {"open": 1.25, "filter": 10.0},
            "requestMs": {"db": 0.5, "packs": 12.0},
        }
    )

    assert capsys.readouterr().err.splitlines() == [
        (
            "explain: segments: 11 of 1,340 read (1 table, 10 packs); "
            "skipped 1,300 by catalogue, 29 by pageFull"
        ),
        "explain: blocks: 20 of 120 read; skipped 100 by signature",
        "explain: rows: 100,000 scanned, 100 found",
        "explain: stages: open 1.2 ms, filter 10.0 ms",
        "explain: request: db 0.5 ms, packs 12.0 ms",
    ]


def test_what_has_nothing_is_left_out(capsys):
    print_explanation(
        {
            "segments": {"considered": 0, "skipped": {}, "leavesRead": 0, "packsRead": 0},
            "blocks": {"considered": 0, "skipped": {}, "read": 0},
            "rows": {"scanned": 0, "found": 0},
            "stagesMs": {},
            "requestMs": {},
        }
    )

    assert capsys.readouterr().err.splitlines() == [
        "explain: segments: 0 of 0 read (0 tables, 0 packs)",
        "explain: blocks: 0 of 0 read",
        "explain: rows: 0 scanned, 0 found",
    ]
