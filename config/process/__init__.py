"""Infrastructure shared by all processes: clock, logs, metrics, health checks, listeners, TLS."""
