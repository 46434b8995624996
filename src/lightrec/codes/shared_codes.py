"""Items and their codes: whether codewords suit a catalogue, and how many items share a code.

No ranking can tell items apart that share one.
"""

from __future__ import annotations

import numpy as np

from lightrec.codes.additive_quantization import AdditiveQuantizationConfig
from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError


def check_num_codewords(codes: AdditiveQuantizationConfig, num_items: int) -> None:
    """Refuses before the long work what would fail, or be of no use, only after it.

    Raises:
        ArgumentError: There are fewer items than codewords, or one codeword for several items.
    """
    codes.require_codes_that_differ(num_items)
    if num_items < codes.num_codewords:
        raise ArgumentError(
            f"the catalogue has {num_items} items, fewer than num_codewords = "
            f"{codes.num_codewords}; set codes.num_codewords to at most {num_items} (--config)"
        )


def describe_shared_codes(item_codes: ItemCodes, popularity: np.ndarray) -> str:
    """One sentence without its full stop; nothing where every item has a code of its own.

    Args:
        item_codes: The codes.
        popularity: (N,) pairs of each item.
    """
    sharing = item_codes.sharing_rows
    if not len(sharing):
        return ""
    if (item_codes.codes == item_codes.codes[:1]).all():
        return (
            f"all {item_codes.num_items:,} items share one code, and so all their scores: nothing "
            "puts one above another"
        )
    told = f"{len(sharing):,} items share their code with another, and so its scores"
    if not popularity.any():  # no pairs were given
        return told
    return f"{told}; {int((popularity[sharing] == 0).sum()):,} of them occur in no pair"
