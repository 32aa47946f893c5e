"""The command line: one file per group of commands. Heavy imports stay inside functions."""
