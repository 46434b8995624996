"""The paper: similarity, selection, recurrence, composition, distillation; needs torch."""

from lightrec.encoder.composite_encoder import CompositeEncoder

__all__ = ["CompositeEncoder"]
