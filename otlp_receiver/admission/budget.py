"""The memory of all requests at once: each holds a lease for the bytes of its body."""

from typing import Self

from otlp_receiver.errors import ReceiverBusy


class ByteBudget:
    """How many bytes of bodies may be in memory at once, and how many are.

    Bytes are counted as they come, not as they are promised: a sender that announces much and
    sends nothing takes nothing from the others.
    """

    __slots__ = ("limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    def lease(self) -> "Lease":
        """A lease of nothing yet."""
        return Lease(self)


class Lease:
    """The share of one request; a context manager that gives it back."""

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
        """Raise ReceiverBusy when a body of this size has no room.

        A request that is alone always has: else a limit below the largest body would refuse that
        body for ever.
        """
        budget = self._budget
        others = budget.used_bytes - self.held_bytes
        if others and others + total_bytes > budget.limit_bytes:
            raise ReceiverBusy(
                f"{others} of {budget.limit_bytes} bytes are taken by other requests"
            )

    def cover(self, total_bytes: int) -> None:
        """Hold at least this many bytes, or raise ReceiverBusy."""
        more = total_bytes - self.held_bytes
        if more > 0:
            self.check(total_bytes)
            self.held_bytes = total_bytes
            self._budget.used_bytes += more
