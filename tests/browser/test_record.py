"""One record: its fields, copies and links, context, timelines."""

import json
import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.shop import BIG_NUMBER, SECRET
from tests.browser.viewer import Viewer


def open_first(page: Viewer, query: str) -> None:
    page.open(f"/search?q={quote(query)}")
    page.rows.first.click()
    expect(page.record).to_be_visible()


def test_all_fields_of_a_record_are_shown(page: Viewer) -> None:
    open_first(page, "needle")

    for text in (
        "needle in the hay",
        "CardRefusedError: the bank said no",
        "line 120",
        "host.name",
    ):
        expect(page.record).to_contain_text(text)


def test_a_large_integer_keeps_all_its_digits_on_screen_and_in_copies(page: Viewer) -> None:
    open_first(page, "cart.updated")
    expect(page.record).to_contain_text(str(BIG_NUMBER))
    page.press("y")
    expect(page.page.get_by_text("JSON copied")).to_be_visible()

    assert json.loads(page.clipboard())["metadata"]["attributes"]["big.number"] == BIG_NUMBER


def test_redaction_is_reported_without_the_secret(page: Viewer) -> None:
    open_first(page, "cart.updated")

    expect(page.record.get_by_text("Redacted before storage")).to_be_visible()
    assert SECRET not in page.page.content()


def test_json_in_a_message_is_a_tree_that_can_be_switched_off(page: Viewer) -> None:
    open_first(page, "cart.updated")
    expect(page.record.get_by_role("button", name=re.compile("3 items"))).to_be_visible()
    page.record.get_by_role("button", name="Pretty").click()

    expect(page.record).to_contain_text('{"event":"cart.updated"')


def test_escaped_line_breaks_are_shown_as_line_breaks(page: Viewer) -> None:
    open_first(page, '"of the bank"')

    expect(page.record.get_by_text(re.compile(r"of the bank\nconnection reset"))).to_be_visible()


def test_a_value_is_included_excluded_and_toggled(page: Viewer) -> None:
    open_first(page, '"order o-7 took"')
    field = page.page.get_by_role("combobox", name="Query")
    page.record.get_by_role("button", name="Filter for Actor", exact=True).click()
    expect(field).to_have_value('"order o-7 took" actorId:u-0')
    page.record.get_by_role("button", name="Exclude Actor", exact=True).click()
    expect(field).to_have_value('"order o-7 took" -actorId:u-0')


def test_an_attribute_can_be_filtered_for(page: Viewer) -> None:
    open_first(page, '"order o-7 took"')
    page.record.get_by_role("button", name="Filter for shard", exact=True).click()

    expect(page.page.get_by_role("combobox", name="Query")).to_have_value(
        '"order o-7 took" attr.shard:3'
    )
    expect(page.rows).to_have_count(1)


def test_a_link_opens_exactly_this_record(page: Viewer) -> None:
    open_first(page, "needle")
    page.press("Shift+Y")
    expect(page.page.get_by_text("Link copied")).to_be_visible()
    page.page.goto(page.clipboard())

    expect(page.page.get_by_role("heading", level=1)).to_contain_text("oddities")
    expect(page.page.get_by_text("needle in the hay")).to_be_visible()


def test_context_ignores_the_filters(page: Viewer) -> None:
    open_first(page, '"order o-700 took"')
    page.press("c")
    context = page.page.get_by_test_id("context")

    expect(context.locator("[aria-current]")).to_contain_text("order o-700 took")
    expect(context.get_by_role("listitem")).to_have_count(41)
    expect(context).to_contain_text("order o-704 took")
    context.get_by_role("button", name="Load earlier").click()
    expect(context.get_by_role("listitem")).to_have_count(61)


@pytest.mark.parametrize(
    ("entry", "title"),
    [
        ("Everything about order o-7", "Resource o-7"),
        ("Everything by u-0", "Actor u-0"),
        ("Everything with correlation ID c-7", "Correlation ID c-7"),
    ],
)
def test_timelines_start_at_a_record(page: Viewer, entry: str, title: str) -> None:
    open_first(page, '"order o-7 took"')
    page.record.get_by_role("button", name="Related records").click()
    page.page.get_by_role("menuitem", name=entry).click()

    expect(page.page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.row("order o-7 took")).to_be_visible()
    assert page.rows.count() > 1
