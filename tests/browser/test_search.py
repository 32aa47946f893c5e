"""Search: query, time range, histogram, records, facets, patterns, columns."""

import re

from playwright.sync_api import expect

from tests.browser.shop import LINES
from tests.browser.viewer import Viewer


def test_a_query_finds_its_records_and_marks_the_hits(page: Viewer) -> None:
    page.open().search("needle")

    expect(page.rows).to_have_count(1)
    expect(page.row("needle").locator("mark")).to_have_text("needle")
    assert "q=needle" in page.address


def test_a_syntax_error_is_shown_with_its_position(page: Viewer) -> None:
    page.open().search("level:ERROR (needle")

    expect(page.page.get_by_role("alert").first).to_contain_text("character 13")


def test_fields_and_values_are_completed(page: Viewer) -> None:
    page.open()
    field = page.page.get_by_role("combobox", name="Query")
    field.press_sequentially("sour")
    page.press("ArrowDown", "Enter")
    expect(field).to_have_value("sourceModule:")
    field.press_sequentially("check")
    expect(page.page.get_by_role("option", name="checkout")).to_be_visible()
    page.press("ArrowDown", "Enter", "Enter")

    expect(page.page).to_have_url(re.compile("sourceModule%3Acheckout"))
    expect(page.row("checkout")).to_be_visible()


def test_the_histogram_counts_by_level_and_a_brush_zooms(page: Viewer) -> None:
    page.open()
    whole = page.total
    plot = page.page.locator(".u-over")
    box = plot.bounding_box()
    assert box
    page.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 20, steps=5)
    page.page.mouse.up()

    expect(page.page).to_have_url(re.compile(r"start=2\d{3}-"))
    expect(page.page.get_by_test_id("total")).not_to_have_text(re.compile(f"^{whole:,} "))
    assert 0 < page.total < whole


def test_the_histogram_is_grouped_by_the_chosen_field(page: Viewer) -> None:
    page.open("/search?q=took")
    legend = page.page.get_by_role("list", name="Legend")
    expect(legend).to_contain_text("CRITICAL")
    page.page.get_by_label("Group histogram by").select_option("by service")
    expect(legend).to_contain_text("inventory")
    expect(page.page).to_have_url(re.compile("group=sourceModule"))
    legend.get_by_role("button", name=re.compile("inventory")).click()

    expect(page.page.get_by_role("combobox", name="Query")).to_have_value(
        "took sourceModule:inventory"
    )


def test_the_histogram_follows_the_theme_of_the_system(page: Viewer) -> None:
    page.open()
    expect(page.page.locator(".u-over")).to_be_visible()
    drawn = "document.querySelector('.uplot canvas').toDataURL()"
    by_day = page.page.evaluate(drawn)
    page.set_theme("dark")

    page.page.wait_for_function(f"before => {drawn} !== before", arg=by_day)


def test_auto_refresh_keeps_the_brushed_range(page: Viewer) -> None:
    page.page.clock.install()
    page.open("/search?start=2026-01-01T09:00:00.000Z&end=2026-01-01T10:00:00.000Z")
    expect(page.page.get_by_text("No records in this range")).to_be_visible()
    page.button("More").click()
    page.page.get_by_role("menuitemradio", name="Auto-refresh: 10 s").click()
    page.press("Escape")
    with page.page.expect_request(re.compile(r"/api/v1/logs\?")) as requested:
        page.page.clock.run_for(11_000)

    assert "start=2026-01-01T09%3A00%3A00.000Z" in requested.value.url
    assert "start=2026-01-01T09%3A00%3A00.000Z" in page.page.url


def test_a_range_is_moved_and_widened_by_keys(page: Viewer) -> None:
    page.open("/search?start=2026-01-01T09:00:00.000Z&end=2026-01-01T10:00:00.000Z")
    expect(page.page.get_by_text("No records in this range")).to_be_visible()
    page.page.locator("body").press("[")
    expect(page.page).to_have_url(re.compile(r"start=2026-01-01T0[678]"))
    page.page.locator("body").press("-")

    expect(page.page).to_have_url(re.compile(r"end=2026-01-01T1\d"))


def test_levels_have_a_letter_beside_their_colour(page: Viewer) -> None:
    page.open("/search?q=level%3AERROR%20took")
    level = page.rows.first.get_by_role("gridcell").nth(1)

    expect(level).to_have_text("E")
    expect(level).to_have_accessible_name("ERROR")


def test_a_slow_response_shows_a_loading_state(page: Viewer) -> None:
    page.open()
    expect(page.rows.first).to_be_visible()
    page.page.route("**/api/v1/logs?*", lambda route: None)
    page.page.evaluate("location.hash = '#/search?q=needle&start=-2h'")

    expect(page.page.get_by_test_id("loaded").get_by_text("Loading …")).to_be_visible()
    page.page.unroute_all(behavior="ignoreErrors")


def test_quick_and_exact_ranges_in_the_local_time_zone(page: Viewer) -> None:
    page.open()
    page.button("Time range: Last hour").click()
    page.button("Last 15 minutes").click()
    expect(page.page).to_have_url(re.compile("start=-15m"))
    expect(page.row("order")).to_be_visible()

    page.button("Time range: Last 15 minutes").click()
    page.page.get_by_label("From").fill("2026-01-01 10:00")
    page.page.get_by_label("To", exact=True).fill("2026-01-01 11:00")
    page.button("Apply").click()

    # Berlin is one hour ahead of UTC in winter.
    expect(page.page).to_have_url(re.compile("start=2026-01-01T09%3A00%3A00.000Z"))
    expect(page.page.get_by_text("No records in this range")).to_be_visible()


def test_a_facet_filters_for_and_against_a_value(page: Viewer) -> None:
    page.open()
    facets = page.page.get_by_test_id("facets")
    facets.get_by_role("button", name=re.compile("^checkout")).click()
    expect(page.page.get_by_role("combobox", name="Query")).to_have_value("sourceModule:checkout")
    expect(page.rows.first).to_contain_text("checkout")

    facets.get_by_role("button", name="Exclude checkout", exact=True).click()

    expect(page.page.get_by_role("combobox", name="Query")).to_have_value("-sourceModule:checkout")
    expect(page.rows.filter(has_text="checkout")).to_have_count(0)


def test_any_field_can_be_added_to_the_facets(page: Viewer) -> None:
    page.open("/search?q=took")
    facets = page.page.get_by_test_id("facets")
    facets.get_by_placeholder("Add a field").fill("shard")
    facets.get_by_role("button", name="Add").click()
    found = facets.get_by_role("button", name=re.compile(r"^3\b"))
    expect(found).to_contain_text(re.compile("2[45]\\d"))
    found.click()

    expect(page.page.get_by_role("combobox", name="Query")).to_have_value("took attr.shard:3")


def test_a_value_in_a_row_filters_with_one_click(page: Viewer) -> None:
    page.open()
    page.row("storefront").get_by_role("button", name="storefront").click()

    expect(page.page.get_by_role("combobox", name="Query")).to_have_value("sourceModule:storefront")


def test_records_load_while_scrolling_until_the_end(page: Viewer) -> None:
    page.open("/search?q=took%20OR%20retry")
    loaded = page.page.get_by_test_id("loaded")

    def scroll_on() -> None:
        page.page.get_by_test_id("records").evaluate(
            "grid => { grid.scrollTop = grid.scrollHeight }"
        )

    for _ in range(50):
        scroll_on()
        if loaded.inner_text() == f"{LINES:,} records":
            break
        page.page.wait_for_timeout(100)

    expect(loaded).to_have_text(f"{LINES:,} records")
    assert page.rows.count() < 100


def test_the_order_can_be_reversed(page: Viewer) -> None:
    page.open("/search?q=%22order%20o%22%20OR%20%22order%22&start=-1h")
    newest = page.rows.first.inner_text()
    page.press("o")

    expect(page.page).to_have_url(re.compile("order=asc"))
    expect(page.rows.first).not_to_have_text(newest)


def test_columns_are_kept_in_the_url(page: Viewer) -> None:
    page.open()
    expect(page.rows.first).to_be_visible()
    page.button("Columns").click()
    page.page.get_by_role("menuitemcheckbox", name="Actor").click()
    page.page.get_by_role("menuitemcheckbox", name="shard").click()
    page.press("Escape")

    expect(page.page.get_by_role("columnheader", name="Actor")).to_be_visible()
    expect(page.page.get_by_role("columnheader", name="attr.shard")).to_be_visible()
    assert "cols=sourceModule%2CactorId%2Cattr.shard" in page.address


def test_patterns_group_messages_by_shape(page: Viewer) -> None:
    page.open("/search?q=retry")
    page.button("Patterns").click()
    row = page.page.get_by_role("row").filter(has_text="of the bank")

    expect(row.first).to_be_visible()
    row.first.get_by_role("button").click()
    expect(page.row("of the bank")).to_be_visible()


def test_an_empty_result_offers_help(page: Viewer) -> None:
    page.open("/search?q=nobodyeversaidthis")

    expect(page.page.get_by_text("No records match")).to_be_visible()
    page.page.get_by_role("button", name="Clear query").last.click()
    expect(page.row("o-")).to_be_visible()


def test_a_link_shows_the_same_view_to_another_user(page: Viewer, viewer) -> None:
    page.open("/search?q=order&start=-1h&wrap=1&cols=action&order=asc")
    expect(page.rows.first).to_be_visible()
    page.press("j", "j")
    expect(page.record).to_be_visible()
    other = viewer().open(page.address, role="NOC")

    message = page.record.get_by_role("tabpanel").inner_text().splitlines()[0]
    expect(other.record.get_by_role("tabpanel")).to_contain_text(message)
    expect(other.page.get_by_role("columnheader", name="Action")).to_be_visible()
    expect(other.page.get_by_role("button", name="Wrap long lines")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_loaded_records_can_be_saved_as_text_and_json(page: Viewer) -> None:
    page.open("/search?q=needle")
    expect(page.row("needle")).to_be_visible()
    for name in ("Text", "JSON"):
        page.button("Download").click()
        with page.page.expect_download() as download:
            page.page.get_by_role("menuitem", name=name, exact=True).first.click()
        assert "needle in the hay" in download.value.path().read_text()


def test_all_matching_records_can_be_exported(page: Viewer) -> None:
    page.open("/search?q=took")
    expect(page.rows.first).to_be_visible()
    page.button("Download").click()
    with page.page.expect_download() as download:
        page.page.get_by_role("menuitem", name="NDJSON").click()

    lines = download.value.path().read_text().splitlines()
    assert len(lines) == LINES - LINES // 3
    assert download.value.suggested_filename.endswith(".ndjson")
