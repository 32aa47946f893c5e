"""Figures beside their limits, one a line."""

from dataclasses import dataclass


@dataclass
class Figures:
    """What was measured against what it may be."""

    is_within: bool = True

    def say(self, what: str, value: float, unit: str, limit: float | None = None) -> None:
        """One line, at once; a limit that is passed is marked and remembered."""
        is_over = limit is not None and value > limit
        self.is_within = self.is_within and not is_over
        bound = "" if limit is None else f"  (limit {limit:g}{', PASSED' if is_over else ''})"
        print(f"{what:<64} {value:>9,.1f} {unit}{bound}", flush=True)
