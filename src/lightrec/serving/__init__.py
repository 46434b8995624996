"""Recommending from a trained model; never imports torch."""

from lightrec.serving.recommender import Recommender
from lightrec.serving.results import RankedItems, Recommendations

__all__ = ["RankedItems", "Recommendations", "Recommender"]
