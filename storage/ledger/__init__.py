"""The ledger: what was stored, sealed, held and removed, numbered, hashed and signed.

entries.py says what goes in; sequencer.py numbers and signs it; verify.py checks it and imports
nothing of ours, so that an auditor can run it alone.
"""
