"""Work on whole segments: seal, merge, carry over, retire, and the record of each run.

In: segments of the catalogue. Out: rewritten, sealed or dropped segments.
Imports `holding` and below.
"""
