"""What is written about errors is true: each code, its status, what to do."""

from opslog.docs.reference_errors import MEND, PAGE, error_classes, errors_page


def test_the_page_of_errors_is_in_step():
    """`make docs` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == errors_page()


def test_every_code_has_its_advice():
    """One line a code, in opslog/docs/reference_errors.py."""
    assert {kind.code for kind in error_classes()} - set(MEND) == set()


def test_every_error_says_what_it_means_and_has_a_status():
    """A class without a text of its own would repeat its family's."""
    for kind in error_classes():
        assert vars(kind).get("__doc__"), kind
        assert 400 <= kind.status < 600, kind
        assert kind.retry_after_s > 0 or not kind.retryable, kind
