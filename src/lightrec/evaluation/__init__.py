"""Ranking quality, measured over the whole catalogue."""
