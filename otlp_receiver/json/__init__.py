"""OTLP/JSON -> Export.

In: the bytes of a body. Out: the same Export that `protobuf` returns.
Imports `memos`, `mapping`, `tally`; never `protobuf`.
"""
