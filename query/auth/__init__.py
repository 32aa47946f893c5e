"""Who asks: tokens and the keys that they are checked with."""
