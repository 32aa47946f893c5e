"""The viewer in a real browser, on the real product with records that came over OTLP."""
