"""The error reference is complete: each code, its status, its fix."""

from opslog.docs.reference_errors import FIXES, PAGE, error_classes, errors_page


def test_the_error_reference_is_current():
    """`make docs` regenerates it."""
    assert PAGE.read_text(encoding="utf-8") == errors_page()


def test_every_code_has_a_fix():
    """One entry per code, in opslog/docs/reference_errors.py."""
    assert {kind.code for kind in error_classes()} - set(FIXES) == set()


def test_every_error_has_a_docstring_and_a_status():
    """A class without its own text would repeat its base class's."""
    for kind in error_classes():
        assert vars(kind).get("__doc__"), kind
        assert 400 <= kind.status < 600, kind
        assert kind.retry_after_s > 0 or not kind.retryable, kind
