"""Buckets of statistics that begin with the hours and days of a time zone. Pure.

Records are counted in short buckets (CountRequest), which are added up here: a day has 23, 24 or 25
hours, which no fixed step has.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from config.errors import BadInput
from query.planning.counting import Counts, bucket_of

_HOUR_S = 3600
_QUARTER_S = 900
"""Offsets from UTC are multiples of it since 1972 (Monrovia was the last one that was not)."""
MAX_SHORT = 40_000
"""Maximum number of short buckets: four years of hours."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a time of the clock on the wall
_SECOND = timedelta(seconds=1)


def zone_of(name: str) -> ZoneInfo:
    """The time zone with this name. Raises BadInput."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(
            f'Unknown time zone "{name[:100]}". Use a name like Europe/Berlin or UTC',
            where="timezone",
        ) from error


@dataclass(frozen=True, slots=True)
class LocalBuckets:
    """Buckets of `step_s` seconds (an hour or more) on the clock of a time zone."""

    zone: ZoneInfo
    step_s: int

    def short_s(self, start_s: int, end_s: int) -> int:
        """The step in which to count. Raises BadInput for too many of them."""
        offsets = {self._wall(at) - at for at in range(start_s, end_s + 86400, 86400)}
        short_s = _QUARTER_S if any(offset % _HOUR_S for offset in offsets) else _HOUR_S
        if (end_s - start_s) // short_s > MAX_SHORT:
            raise BadInput("Too long a range for a time zone. Use UTC", where="timezone")
        return short_s

    def begins(self, start_s: int, end_s: int) -> Iterator[int]:
        """Where the buckets of a range begin."""
        wall = bucket_of(self._wall(start_s), self.step_s)
        last = None
        while (at := self._utc(wall)) < end_s:
            if at != last:  # an hour that the clock skips
                yield at
            last = at
            wall += self.step_s

    def together(self, found: Counts) -> None:
        """Add up short buckets, in place."""
        sums: dict[tuple[int, str], int] = defaultdict(int)
        for (at, value), count in found.counts.items():
            sums[self._utc(bucket_of(self._wall(at), self.step_s)), value] += count
        found.counts = sums

    def _wall(self, at_s: int) -> int:
        """Seconds on the zone's clock since 1970."""
        local = datetime.fromtimestamp(at_s, self.zone).replace(tzinfo=None)
        return (local - _EPOCH) // _SECOND

    def _utc(self, wall_s: int) -> int:
        local = _EPOCH + timedelta(seconds=wall_s)
        return int(local.replace(tzinfo=self.zone).timestamp())
