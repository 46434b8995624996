"""The command line: one file per command; start with `main`."""
