"""The training loop and what it is fed; needs torch."""
