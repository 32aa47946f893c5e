"""The ground: settings, the words everybody uses, errors, clock, own telemetry."""
