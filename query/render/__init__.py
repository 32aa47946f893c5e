"""Rows in the forms that leave the house: the API's record, NDJSON, CSV."""
