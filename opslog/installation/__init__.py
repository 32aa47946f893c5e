"""One installation: folders, secrets, tokens, server addresses.

In: settings. Out: paths, DSNs, keys. Imports `embedded` and `system`.
"""
