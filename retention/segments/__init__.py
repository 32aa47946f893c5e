"""Work on whole segments: seal, merge, carry over, retire, and the record of each run.

In: segments of the catalogue. Out: the same rows in another form, or none.
Imports `holding` and below.
"""
