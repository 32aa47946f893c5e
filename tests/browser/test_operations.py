"""The operations pages: ingest, ledger, keys, holds, dead letters, retention."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Locator, expect

from storage.record.columns import SELF_CONTAINED
from storage.record.copy_binary import leaf_of, rows_of
from storage.record.nonces import with_nonce
from tests.browser.shop import LINES, SECRET, fresh_lines
from tests.browser.viewer import Viewer
from tests.support.product import Product
from tests.support.records import make_frame, make_record


def stat(page: Viewer, of: str, name: str) -> Locator:
    """The tile of a statistic, by its list and its name."""
    tiles = page.page.locator(f"dl[aria-label='{of}'] > div")
    return tiles.filter(has=page.page.get_by_text(name, exact=True)).locator("dd")


def test_the_ingest_rate_and_the_senders_are_shown(page: Viewer) -> None:
    page.open("/operations/ingest")

    expect(page.page.get_by_role("img", name=re.compile("^Records per minute"))).to_be_visible()
    expect(stat(page, "Ingested", "Records/s")).to_contain_text("last full minute")
    stored = int(stat(page, "Ingested", "Stored").inner_text().replace(",", ""))
    assert stored >= LINES
    row = page.page.get_by_role("row").filter(has_text="checkout")
    expect(row.get_by_role("cell").first).to_have_text(f"{LINES // 4 + 1}")
    row.get_by_role("link", name="checkout").click()
    expect(page.row("checkout")).to_be_visible()


def test_rejected_records_are_shown_with_their_reason(page: Viewer, product: Product) -> None:
    key = product.command("keys", "create", "picky", "--min-level", "ERROR").strip()
    status, _, _ = product.request(
        "/v1/logs",
        base=product.otlp_url,
        data=fresh_lines("below", 4),
        headers={"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {key}"},
    )
    assert status == 200
    page.open("/operations/ingest")

    row = page.page.get_by_role("row").filter(has_text=re.compile("^live"))
    expect(row.get_by_role("cell").last).to_contain_text(re.compile("level.* 4"), timeout=20_000)


def test_a_spool_that_waits_for_the_database_is_reported(page: Viewer) -> None:
    page.page.route(
        "**/metrics",
        lambda route: route.fulfill(
            body='opslog_writer_away{pid="1"} 1.0\nopslog_spool_waiting_rows 1234.0\n'
        ),
    )
    page.open("/operations/ingest")

    expect(page.page.get_by_role("alert")).to_contain_text("The database is unavailable")
    expect(stat(page, "Spool", "Pending records")).to_contain_text("1,234")


def test_the_ledger_balances_and_shows_its_signed_head(page: Viewer, product: Product) -> None:
    product.command("ledger", "check")
    page.open("/operations/ledger")

    expect(stat(page, "Balance", "Difference")).to_contain_text("balanced")
    expect(page.page.get_by_text(re.compile("Checked at .* no differences"))).to_be_visible()
    expect(page.page.locator("pre")).to_contain_text("opslog/")
    page.page.get_by_label("Range").select_option("Last day")
    expect(page.page.get_by_role("row").filter(has_text="inventory").first).to_be_visible()


def test_segments_and_the_policy_of_each_class(page: Viewer) -> None:
    page.open("/operations/segments")
    expect(page.page.get_by_role("row").filter(has_text="critical").first).to_contain_text("open")
    page.go("/operations/retention")

    table = page.page.get_by_role("table", name="Policy by class")
    expect(table.get_by_role("row").filter(has_text="warn")).to_contain_text("90d")
    expect(stat(page, "Retention", "Overdue")).to_have_text("none")
    expect(page.page.get_by_role("region", name="Due next")).to_contain_text("Nothing is due")


def test_a_key_is_created_shown_once_rotated_and_revoked(page: Viewer) -> None:
    name = f"till-{time.time_ns()}"
    page.open("/operations/keys")
    page.button("New key").click()
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("traces").uncheck()
    dialog.get_by_label(re.compile("Minimum level")).select_option("WARN")
    dialog.get_by_role("button", name="Create").click()
    secret = (
        page.page.get_by_role("dialog", name="New ingest key created").locator("code").inner_text()
    )
    assert len(secret) > 20
    page.press("Escape")

    row = page.page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("WARN")
    assert secret not in page.page.content()
    row.get_by_role("button", name="Rotate").click()
    page.page.get_by_label("Old key expires").select_option("immediately")
    page.page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    rotated = page.page.get_by_role("dialog", name="New ingest key created").locator("code")
    expect(rotated).not_to_have_text(secret)
    page.press("Escape")
    row.get_by_role("button", name="Revoke").first.click()
    page.page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)


def test_held_records_are_not_purged_until_they_are_released(
    page: Viewer, product: Product
) -> None:
    product.export(fresh_lines("evidence", 2))
    page.open("/operations/holds")
    page.button("New hold").click()
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("case 7")
    dialog.get_by_label("Query").fill("evidence")
    dialog.get_by_label("Reason").fill("court order")
    dialog.get_by_role("button", name="Create hold").click()
    row = page.page.get_by_role("row").filter(has_text="case 7")
    expect(row).to_contain_text("court order")

    page.go("/search?q=evidence&start=-1d")
    expect(page.rows).to_have_count(2)
    page.button("More").click()
    page.page.get_by_role("menuitem", name="Purge these records …").click()
    page.page.get_by_label("Reason").fill("a test")
    page.button("Preview").click()
    expect(page.page.get_by_role("dialog")).to_contain_text(
        "No records would be purged. 2 records under legal hold will be kept."
    )
    page.press("Escape")

    page.go("/operations/holds")
    row.get_by_role("button", name="Release").click()
    page.page.get_by_label("Reason").fill("the case is closed")
    page.page.get_by_role("dialog").get_by_role("button", name="Release").click()
    expect(row.get_by_role("button", name="Release")).to_have_count(0)


@pytest.fixture
def letter(product: Product) -> str:
    """The reason of a dead letter: PostgreSQL rejects the length of the module."""
    bare = next(rows_of(make_frame([make_record(source_module="x" * 51)]).parts[0].copy_bytes))
    row = with_nonce(bare, bytes(16))  # as the writer stores it
    reason = f"too long, {time.time_ns()}"
    insert = (
        "INSERT INTO dead_letters (batch_id, position, class, encoding_version, row_bytes, leaf,"
        f" sqlstate, reason, received_at) VALUES (1, 0, 'info', {SELF_CONTAINED},"
        f" '\\x{row.hex()}', '\\x{leaf_of(row).hex()}', '22001', '{reason}', now())"
    )
    # Playwright's event loop runs in this thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(product.sql, insert).result()
    return reason


def test_a_dead_letter_is_shown_replayed_and_discarded(page: Viewer, letter: str) -> None:
    page.open("/operations/dead-letters")
    row = page.page.get_by_role("row").filter(has_text=letter)
    row.get_by_role("button", name="Show").click()
    expect(page.page.get_by_role("dialog")).to_contain_text("x" * 51)
    page.press("Escape")
    row.get_by_role("button", name="Replay").click()
    expect(page.page.get_by_text(re.compile("Rejected again: value too long"))).to_be_visible()
    row.get_by_role("button", name="Discard").click()
    page.page.get_by_label("Reason").fill("a sender that was removed")
    page.page.get_by_role("dialog").get_by_role("button", name="Discard").click()

    expect(row).to_have_count(0)
    page.button("Discarded").click()
    expect(row).to_contain_text("a sender that was removed")


def test_redaction_has_a_preview(page: Viewer) -> None:
    page.open("/operations/redaction")
    field = page.page.get_by_label(re.compile("A message, or attributes"))
    field.fill(f'{{"user": "ann", "password": "{SECRET}"}}')
    page.button("Preview").click()
    found = page.page.get_by_test_id("redacted")

    expect(found).to_contain_text("ann")
    expect(found).not_to_contain_text(SECRET)


@pytest.mark.parametrize(
    ("role", "sections"),
    [
        ("ADMIN", ["Ingest", "Health", "Ledger", "Segments", "Retention", "Holds", "Dead letters"]),
        ("AUDITOR", ["Ingest", "Health", "Ledger", "Segments", "Retention", "Holds"]),
    ],
)
def test_roles_see_the_pages_but_not_the_actions_of_others(
    page: Viewer, role: str, sections: list[str], letter: str
) -> None:
    page.open("/operations/dead-letters", role=role)
    row = page.page.get_by_role("row").filter(has_text=letter)
    expect(row.get_by_role("button", name="Show")).to_be_visible()

    expect(row.get_by_role("button", name="Replay")).to_have_count(0)
    shown = page.page.get_by_role("navigation", name="Operations").get_by_role("link")
    names = shown.all_inner_texts()
    assert names[: len(sections)] == sections
    assert "Ingest keys" not in names
