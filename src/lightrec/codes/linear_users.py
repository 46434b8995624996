"""Codebooks of another width, and the linear map that brings users to them.

A live user tower may give wider vectors than codewords should have: codebooks take B W D numbers,
and a score table B W D products. With P2 = P1 M' (Eq. 9, a linear form) the codebooks may have any
width. Both are found at once: of all pairs of D dimensions they make the least squared error of the
users' score tables, codewords counting as often as items use them.
"""

from __future__ import annotations

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_codebooks import Usage
from lightrec.errors import ArgumentError

RIDGE = 1e-6  # of the mean diagonal: directions that no user has get no infinite map


def linear_users(
    users: np.ndarray, item_codes: ItemCodes, width: int
) -> tuple[ItemCodes, np.ndarray]:
    """Codebooks of a given width and the map of user vectors that goes with them.

    The truncated singular value decomposition of the codebooks, in the metric of the users' second
    moment: P1 C' is the users' score tables, and (P1 M') C2' the best ones of rank D.

    Args:
        users: (M, T) float32, typical users.
        item_codes: Codes, with codebooks in the users' space.
        width: D, at most T.

    Returns:
        The same codes with codebooks (B, W, D), and the map (D, T), float32.

    Raises:
        ArgumentError: Users and codebooks differ in width, there is no user, or D is out of range.
    """
    own_width = item_codes.width
    if users.ndim != 2 or users.shape[1] != own_width or not len(users):
        raise ArgumentError(
            f"users must be (M, {own_width}) as the codewords are, and at least one, not "
            f"{users.shape}"
        )
    if not 1 <= width <= own_width:
        raise ArgumentError(f"width must lie in 1..{own_width}, the users' own, not {width}")
    wide = users.astype(np.float64)
    moment = wide.T @ wide / len(wide)
    moment += RIDGE * max(np.trace(moment) / own_width, 1e-30) * np.eye(own_width)
    root = np.linalg.cholesky(moment)
    usage = Usage.of(item_codes)
    scores = usage.weighted_codebooks(item_codes) @ root
    kept = np.linalg.svd(scores, full_matrices=False)[2][:width]
    # The codebooks C become C V and the users p become W p, with V = root kept' and
    # W = kept root^-1; V W is the identity where nothing is cut off.
    codebooks = item_codes.codebooks @ (root @ kept.T)
    to_own = np.linalg.solve(root.T, kept.T).T
    return ItemCodes(item_codes.codes, codebooks.astype(np.float32)), to_own.astype(np.float32)
