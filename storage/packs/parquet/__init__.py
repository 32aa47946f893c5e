"""The subset of Parquet that packs are made of: a writer, and a reader of single pages."""
