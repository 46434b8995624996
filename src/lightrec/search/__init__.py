"""Exact top-k over item codes, with filters and post-ranking; never imports torch."""
