"""Login, roles, and messages when the server is unreachable."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.viewer import Viewer
from tests.support.product import Product


def test_the_link_of_opslog_up_logs_in_and_drops_its_token_at_once(page: Viewer) -> None:
    page.open()

    expect(page.rows.first).to_be_visible()
    assert "token" not in page.page.url
    assert page.page.evaluate("history.length") <= 2
    kept = page.page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert page.product.token("SUPER_ADMIN")[-20:] not in kept


def test_logging_in_with_a_token_and_out_again(page: Viewer, product: Product) -> None:
    page.page.goto(product.api_url)
    field = page.page.get_by_role("textbox", name=re.compile("Log in with a token"))
    field.fill("not.a.token")
    page.button("Log in").click()
    expect(page.page.get_by_role("alert")).to_contain_text("not valid")
    field.fill(product.token("NOC"))
    page.button("Log in").click()
    expect(page.rows.first).to_be_visible()
    page.button("Account", exact=False).click()
    page.page.get_by_role("menuitem", name="Log out").click()

    expect(page.page.get_by_text("You are logged out.")).to_be_visible()
    page.page.reload()
    expect(field).to_be_visible()


@pytest.mark.parametrize(
    ("role", "pages", "purges", "exports"),
    [
        ("SUPER_ADMIN", ["Search", "Live", "Traces", "Statistics", "Operations"], True, True),
        ("ADMIN", ["Search", "Live", "Traces", "Statistics", "Operations"], False, True),
        ("NOC", ["Search", "Live", "Traces", "Statistics"], False, False),
    ],
)
def test_what_a_role_lacks_is_absent(
    page: Viewer, role: str, pages: list[str], purges: bool, exports: bool
) -> None:
    page.open(role=role)
    expect(page.rows.first).to_be_visible()

    assert (
        page.page.get_by_role("navigation", name="Pages").get_by_role("link").all_inner_texts()
        == pages
    )
    page.button("More").click()
    expect(page.page.get_by_role("menuitem", name="Purge these records …")).to_have_count(
        int(purges)
    )
    page.press("Escape")
    page.button("Download").click()
    expect(page.page.get_by_role("menuitem", name="CSV")).to_have_count(int(exports))


def test_an_auditor_reads_audit_records_only(page: Viewer) -> None:
    page.open(role="AUDITOR")

    expect(page.rows.first).to_contain_text("audit")


def test_a_role_without_permissions_sees_a_message(page: Viewer) -> None:
    page.open(role="HR")

    expect(page.page.get_by_text("Permission denied")).to_be_visible()


def test_an_ended_session_returns_to_the_login(page: Viewer) -> None:
    page.open()
    expect(page.rows.first).to_be_visible()
    page.context.clear_cookies()
    page.press("r")

    expect(page.page.get_by_text("Your session has ended.")).to_be_visible()


def test_the_end_of_a_session_is_announced(page: Viewer, product: Product) -> None:
    token = product.command("token", "--role", "NOC", "--hours", "0.1").strip()
    page.page.goto(f"{product.api_url}/#token={token}")

    expect(page.rows.first).to_be_visible()
    expect(page.page.get_by_text("Your session ends in")).to_contain_text(re.compile(r"[56] min"))
    assert page.violations() == []


def test_what_a_role_lacks_is_refused_by_the_server_too(page: Viewer) -> None:
    page.open(role="NOC")
    expect(page.rows.first).to_be_visible()
    forbidden = {
        "/api/v1/logs/export?format=csv": "GET",
        "/api/v1/logs/purge?q=order&reason=x": "DELETE",
        "/api/v1/ingest/ledger": "GET",
        "/api/v1/ingest/keys": "GET",
        "/api/v1/dead-letters": "GET",
        "/metrics": "GET",
    }
    fetch = """([path, method]) => fetch(path.slice(1), {method, headers: {'X-Opslog-Viewer': '1'}})
        .then(response => response.status)"""

    assert {
        path: page.page.evaluate(fetch, [path, method]) for path, method in forbidden.items()
    } == dict.fromkeys(forbidden, 403)
    page.go("/operations/keys")
    expect(page.page.get_by_text("Permission denied")).to_be_visible()


def test_offline_is_reported_and_loaded_records_stay(page: Viewer) -> None:
    page.open()
    expect(page.rows.first).to_be_visible()
    page.context.set_offline(True)
    expect(page.page.get_by_text("You are offline.")).to_be_visible()
    expect(page.rows.first).to_be_visible()
    page.context.set_offline(False)

    expect(page.page.get_by_text("You are offline.")).to_have_count(0)


def test_an_unreachable_server_is_reported_with_advice(page: Viewer) -> None:
    page.open()
    expect(page.rows.first).to_be_visible()
    page.page.route("**/api/v1/logs?*", lambda route: route.abort())
    page.search("needle")

    expect(page.page.get_by_text("Cannot reach the server")).to_be_visible(timeout=30_000)
    page.page.unroute("**/api/v1/logs?*")
    page.button("Try again").click()
    expect(page.row("needle")).to_be_visible()


def test_purging_takes_two_steps(page: Viewer, product: Product) -> None:
    from tests.browser.shop import fresh_lines

    product.export(fresh_lines("purgeable", 3))
    page.open("/search?q=purgeable&start=-1d")
    expect(page.rows).to_have_count(3)
    page.button("More").click()
    page.page.get_by_role("menuitem", name="Purge these records …").click()
    page.page.get_by_label("Reason").fill("a test")
    page.button("Preview").click()
    expect(page.page.get_by_test_id("purge-plan")).to_contain_text("3 records")
    expect(page.button("Purge 3 records")).to_be_disabled()
    page.page.get_by_label("Type 3 to confirm").fill("3")
    page.button("Purge 3 records").click()

    expect(page.page.get_by_text("3 records purged")).to_be_visible()
    expect(page.page.get_by_text("No records match")).to_be_visible()
