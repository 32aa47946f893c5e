"""Load tests and benchmarks: loopback only, bounded in time."""

import opslog  # noqa: F401 - first: it selects the compiled codec
