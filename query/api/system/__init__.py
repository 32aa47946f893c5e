"""Groups of routes without records: health, sessions, documentation, the viewer's files.

In: a Call. Out: JSON, HTML and files. Imports `http`.
"""
