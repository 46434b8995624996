"""Programs that measure speed against named opponents, and write `benchmarks/results`."""
