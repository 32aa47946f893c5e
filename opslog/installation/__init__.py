"""One installation: folders, secrets, tokens, addresses of its servers.

In: settings. Out: paths, DSNs, keys. Imports `embedded` and `system`.
"""
