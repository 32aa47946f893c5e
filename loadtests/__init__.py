"""Loads and benchmarks. They send to loopback only, are bounded in time, and end by themselves."""
