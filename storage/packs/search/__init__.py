"""Filter trees over packs: which blocks may match, and which rows do."""
