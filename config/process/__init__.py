"""What every process has: clock, logs, metrics, health checks, listeners, TLS."""
