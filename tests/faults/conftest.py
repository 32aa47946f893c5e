"""Fixtures of the fault suite: one product per module, each test with its own load.

A test injects one fault, repairs it, and leaves the product unchanged, so that tests can run alone
and in any order.
"""

import itertools
import operator
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from tests.faults.rounds import SETTINGS
from tests.support import faults
from tests.support.product import Product
from tests.support.senders import Senders

_runs = itertools.count(1)


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """`opslog up`, with small files and segments so that both change under the load."""
    with Product.running(**SETTINGS) as running:
        yield running


@pytest.fixture
def senders(product: Product) -> Iterator[Senders]:
    """Four active senders, with some hundred records acknowledged; a tenth is duplicated."""
    run = f"fault-{next(_runs)}"
    with Senders(product.otlp_url, run, clients=4, pause_s=0.02, resend=0.1) as made:
        product.wait(lambda: len(made.acknowledged) > 300, 60)
        yield made


@pytest.fixture(autouse=True)
def _verdicts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Put the counters into the test's report, which xdist passes on to the summary."""
    name = request.node.name

    def tell(verdict: faults.Verdict) -> None:
        request.node.user_properties.append(("verdict", [name, asdict(verdict)]))

    faults.listeners.append(tell)
    yield
    faults.listeners.remove(tell)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per fault: counters, and how long nothing was accepted."""
    reports = [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]
    found = [value for report in reports for _, value in report.user_properties]
    if not found:
        return
    terminalreporter.section("after each fault")
    terminalreporter.line(_LINE.format(*_HEADS))
    for name, said in sorted(found, key=operator.itemgetter(0)):
        cells = [f"{said['acknowledged']:,}", said["lost"], said["twice"], said["unsent"]]
        times = [f"{said['silence_s']:.1f} s", f"{said['drained_s']:.1f} s"]
        terminalreporter.line(_LINE.format(name, *cells, len(said["differences"]), *times))


_LINE = "{:<66} {:>12} {:>5} {:>6} {:>11} {:>11} {:>9} {:>9}"
_HEADS = (
    "fault", "acknowledged", "lost", "twice", "never sent", "unbalanced", "silence", "stored in"
)  # fmt: skip
