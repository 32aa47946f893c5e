"""Loads and benchmarks. They send to loopback only, are bounded in time, and end by themselves."""

import opslog  # noqa: F401 - first: it decides whether the codec is the compiled one
