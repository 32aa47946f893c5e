"""Packing: a closed segment becomes a pack, and its leaf goes.

In: closed segments. Out: packs, and whatever rewrites them. Imports `holding` and below.
"""
