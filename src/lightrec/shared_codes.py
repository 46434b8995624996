"""Says how many items share a code: no ranking can tell such items apart."""

from __future__ import annotations

import numpy as np

from lightrec.codes.item_codes import ItemCodes


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
    unseen = int((popularity[sharing] == 0).sum())
    return (
        f"{len(sharing):,} items share their code with another, and so its scores; {unseen:,} of "
        "them occur in no pair"
    )
