"""Memory limit of all requests in flight: each holds a lease for the bytes of its body."""

from typing import Self

from otlp_receiver.errors import ReceiverBusy


class ByteBudget:
    """Limit and current total of body bytes in memory.

    Bytes are counted as received, not as announced: a sender with a large Content-Length that sends
    nothing does not use up the budget.
    """

    __slots__ = ("limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    def lease(self) -> "Lease":
        """Create an empty lease."""
        return Lease(self)


class Lease:
    """The share of one request; a context manager that releases it."""

    __slots__ = ("_budget", "held_bytes")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.used_bytes -= self.held_bytes
        self.held_bytes = 0

    def check(self, total_bytes: int) -> None:
        """Raise ReceiverBusy if a body of this size does not fit.

        A single request always fits: otherwise a limit below the maximum body size would refuse
        such a body forever.
        """
        budget = self._budget
        others = budget.used_bytes - self.held_bytes
        if others and others + total_bytes > budget.limit_bytes:
            raise ReceiverBusy(f"other requests use {others} of {budget.limit_bytes} bytes")

    def cover(self, total_bytes: int) -> None:
        """Extend the lease to at least this many bytes, or raise ReceiverBusy."""
        more = total_bytes - self.held_bytes
        if more > 0:
            self.check(total_bytes)
            self.held_bytes = total_bytes
            self._budget.used_bytes += more
