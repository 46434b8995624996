"""Run configurations that ship with the package."""
