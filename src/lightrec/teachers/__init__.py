"""Float models to distil from."""
