"""The pages about opslog itself: what arrives, the ledger, keys, holds, dead letters, retention."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Locator, expect

from storage.record.copy_binary import ENCODING_VERSION, leaf_of, rows_of
from tests.browser.shop import LINES, SECRET, fresh_lines
from tests.browser.viewer import Viewer
from tests.support.product import Product
from tests.support.records import make_frame, make_record


def figure(page: Viewer, of: str, name: str) -> Locator:
    """The tile of a figure, by its list and its name."""
    figures = page.page.locator(f"dl[aria-label='{of}'] > div")
    return figures.filter(has=page.page.get_by_text(name, exact=True)).locator("dd")


def test_the_rate_of_ingest_and_who_sends_are_told(page: Viewer) -> None:
    page.open("/operations/ingest")

    expect(page.page.get_by_role("img", name=re.compile("^Records a minute"))).to_be_visible()
    expect(figure(page, "What arrived", "Records a second")).to_contain_text("last whole minute")
    stored = int(figure(page, "What arrived", "Stored").inner_text().replace(",", ""))
    assert stored >= LINES
    row = page.page.get_by_role("row").filter(has_text="checkout")
    expect(row.get_by_role("cell").first).to_have_text(f"{LINES // 4 + 1}")
    row.get_by_role("link", name="checkout").click()
    expect(page.row("checkout")).to_be_visible()


def test_what_is_rejected_stands_there_with_its_reason(page: Viewer, product: Product) -> None:
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


def test_a_spool_that_waits_for_the_database_says_so(page: Viewer) -> None:
    page.page.route(
        "**/metrics",
        lambda route: route.fulfill(
            body='opslog_writer_away{pid="1"} 1.0\nopslog_spool_waiting_rows 1234.0\n'
        ),
    )
    page.open("/operations/ingest")

    expect(page.page.get_by_role("alert")).to_contain_text("The database takes nothing just now")
    expect(figure(page, "Spool", "Records waiting")).to_contain_text("1,234")


def test_the_ledger_balances_and_shows_its_signed_head(page: Viewer, product: Product) -> None:
    product.command("ledger", "check")
    page.open("/operations/ledger")

    expect(figure(page, "Balance", "Difference")).to_contain_text("it balances")
    expect(page.page.get_by_text(re.compile("Counted at .* no differences"))).to_be_visible()
    expect(page.page.locator("pre")).to_contain_text("opslog/")
    page.page.get_by_label("Range").select_option("Last day")
    expect(page.page.get_by_role("row").filter(has_text="inventory").first).to_be_visible()


def test_segments_and_what_is_kept_of_each_class(page: Viewer) -> None:
    page.open("/operations/segments")
    expect(page.page.get_by_role("row").filter(has_text="critical").first).to_contain_text("open")
    page.go("/operations/retention")

    table = page.page.get_by_role("table", name="What is kept, by class")
    expect(table.get_by_role("row").filter(has_text="warn")).to_contain_text("90d")
    expect(figure(page, "Retention", "Overdue")).to_have_text("nothing")
    expect(page.page.get_by_role("region", name="What goes next")).to_contain_text("Nothing is due")


def test_a_key_is_made_shown_once_renewed_and_revoked(page: Viewer) -> None:
    name = f"till-{time.time_ns()}"
    page.open("/operations/keys")
    page.button("New key").click()
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_label("Name of the sender").fill(name)
    dialog.get_by_label("traces").uncheck()
    dialog.get_by_label(re.compile("From level")).select_option("WARN")
    dialog.get_by_role("button", name="Create").click()
    secret = page.page.get_by_role("dialog", name="The new key").locator("code").inner_text()
    assert len(secret) > 20
    page.press("Escape")

    row = page.page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("WARN")
    assert secret not in page.page.content()
    row.get_by_role("button", name="Renew").click()
    page.page.get_by_label("The old key ends").select_option("at once")
    page.button("Renew it").click()
    renewed = page.page.get_by_role("dialog", name="The new key").locator("code")
    expect(renewed).not_to_have_text(secret)
    page.press("Escape")
    row.get_by_role("button", name="Revoke").first.click()
    page.button("Revoke it").click()
    expect(row).to_have_count(0)


def test_held_records_are_not_purged_until_they_are_released(
    page: Viewer, product: Product
) -> None:
    product.export(fresh_lines("evidence", 2))
    page.open("/operations/holds")
    page.button("New hold").click()
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("case 7")
    dialog.get_by_label("Question").fill("evidence")
    dialog.get_by_label("Why").fill("a court asked")
    dialog.get_by_role("button", name="Hold these records").click()
    row = page.page.get_by_role("row").filter(has_text="case 7")
    expect(row).to_contain_text("a court asked")

    page.go("/search?q=evidence&start=-1d")
    expect(page.rows).to_have_count(2)
    page.button("More").click()
    page.page.get_by_role("menuitem", name="Purge these records …").click()
    page.page.get_by_label("Why").fill("a test")
    page.button("Show what would go").click()
    expect(page.page.get_by_role("dialog")).to_contain_text(
        "Nothing would go. 2 records under legal hold would stay."
    )
    page.press("Escape")

    page.go("/operations/holds")
    row.get_by_role("button", name="Release").click()
    page.page.get_by_label("Why").fill("the case is closed")
    page.button("Release it").click()
    expect(row.get_by_role("button", name="Release")).to_have_count(0)


@pytest.fixture
def letter(product: Product) -> str:
    """A dead letter's reason: PostgreSQL refuses the length of this row's module."""
    row = next(rows_of(make_frame([make_record(source_module="x" * 51)]).parts[0].copy_bytes))
    reason = f"too long, {time.time_ns()}"
    insert = (
        "INSERT INTO dead_letters (batch_id, position, class, encoding_version, row_bytes, leaf,"
        f" sqlstate, reason, received_at) VALUES (1, 0, 'info', {ENCODING_VERSION},"
        f" '\\x{row.hex()}', '\\x{leaf_of(row).hex()}', '22001', '{reason}', now())"
    )
    # Playwright's loop runs in this thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(product.sql, insert).result()
    return reason


def test_a_dead_letter_is_read_sent_again_and_given_up(page: Viewer, letter: str) -> None:
    page.open("/operations/dead-letters")
    row = page.page.get_by_role("row").filter(has_text=letter)
    row.get_by_role("button", name="Show").click()
    expect(page.page.get_by_role("dialog")).to_contain_text("x" * 51)
    page.press("Escape")
    row.get_by_role("button", name="Replay").click()
    expect(page.page.get_by_text(re.compile("Refused again: value too long"))).to_be_visible()
    row.get_by_role("button", name="Discard").click()
    page.page.get_by_label("Why").fill("a sender that is gone")
    page.page.get_by_role("dialog").get_by_role("button", name="Discard").click()

    expect(row).to_have_count(0)
    page.button("Discarded").click()
    expect(row).to_contain_text("a sender that is gone")


def test_redaction_can_be_tried(page: Viewer) -> None:
    page.open("/operations/redaction")
    field = page.page.get_by_label(re.compile("A message, or attributes"))
    field.fill(f'{{"user": "ann", "password": "{SECRET}"}}')
    page.button("Show what would be stored").click()
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
def test_roles_see_the_pages_but_not_the_buttons_of_others(
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
