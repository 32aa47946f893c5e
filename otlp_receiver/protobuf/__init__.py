"""OTLP/protobuf -> Export, without rejecting a record for one invalid value.

In: the bytes of a body. Out: an Export, or BadPayload with the field path.
Imports `memos`, `mapping`, `tally`; never `json`.
"""
