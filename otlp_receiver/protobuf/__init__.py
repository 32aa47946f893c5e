"""OTLP/protobuf -> Export, without refusing a record for one odd value.

In: the bytes of a body. Out: an Export, or BadPayload with the path of the field.
Imports `memos`, `mapping`, `tally`; never `json`.
"""
