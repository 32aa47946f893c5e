"""The index file beside a pack: zone maps, page locations, signatures, templates, proof data."""
