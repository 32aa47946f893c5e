"""Work on whole segments: merge, carry over, retire, and the record of each run.

In: segments of the catalogue. Out: rewritten or dropped segments.
Imports `packing` and below.
"""
