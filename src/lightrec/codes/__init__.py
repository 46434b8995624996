"""Additive codes and how they are fitted without gradients; numpy only."""
