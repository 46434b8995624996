"""The paper: similarity, selection, recurrence, composite encoding and distillation; needs torch."""

from lightrec.encoder.composite_encoder import CompositeEncoder

__all__ = ["CompositeEncoder"]
