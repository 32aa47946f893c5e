"""Expiry, legal holds and purges, with proof in the ledger: jobs over whole segments.

In: settings, the clock, legal holds, confirmed purges. Out: segments packed, merged, dropped;
an entry in the ledger for each. Imports `storage` and `config`; never the API.
"""
