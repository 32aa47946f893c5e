"""Measurements with their limits, one per line."""

from dataclasses import dataclass


@dataclass
class Measurements:
    """Print measurements and remember whether all are within their limits."""

    is_within: bool = True

    def report(self, what: str, value: float, unit: str, limit: float | None = None) -> None:
        """Print one line; mark and remember an exceeded limit."""
        is_over = limit is not None and value > limit
        self.is_within = self.is_within and not is_over
        bound = "" if limit is None else f"  (limit {limit:g}{', EXCEEDED' if is_over else ''})"
        print(f"{what:<64} {value:>9,.1f} {unit}{bound}", flush=True)
