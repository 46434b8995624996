"""The paper: similarity, selection, recurrence, composition, distillation; needs torch."""

from lightrec.encoder.composite_embedding import CompositeEmbedding
from lightrec.encoder.composite_encoder import CompositeEncoder

__all__ = ["CompositeEmbedding", "CompositeEncoder"]
