"""One training run: its stages, its folder, what it holds out, repeats and has learned."""
