"""Random catalogues and searches that are hard on a fast scan: ties, extremes, filters, any k."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.search.filters import BatchFilter
from lightrec.search.post_ranking import ItemVectors, ScaledVectors
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.row_mask import RowMask

SIZES = (
    (1, 6, 0.1),
    (6, 300, 0.4),
    (300, 2_048, 0.3),
    (2_048, 20_000, 0.134),  # from 2,048 items on, scans take a sample first
    (20_000, 60_000, 0.06),
    (204_800, 230_000, 0.004),  # from here on, AVX-512 filters short runs of cells
    (819_200, 900_000, 0.0015),  # and AVX2 too
    (4_194_304, 4_300_000, 0.0005),  # cells of one second codeword
)
"""From, to, and the share of catalogues: small ones let many queries share the hour."""
LARGE = 200_000  # items; whole rankings of so many take too long
MOST_QUERIES = 16
FILTERS = 4  # different ones for each catalogue, the first of them none
TABLES = (
    "normal",
    "few values",
    "constant",
    "zeros of both signs",
    "huge",
    "largest",
    "denormal",
    "offset",
    "cancelling",
    "near ties",
    "all magnitudes",
    "towering",
    "vectors",
    "whole vectors",
)
CODES = ("uniform", "few distinct", "skewed first", "skewed", "counted", "best last", "best first")


@dataclass(frozen=True)
class Asked:
    """One filter for all queries of a catalogue, and how many results are wanted under it.

    Attributes:
        about: The filter in words.
        rows: What each query may return.
        ks: Results wanted.
        threads: Of batch calls.
    """

    about: str
    rows: BatchFilter | None
    ks: tuple[int, ...]
    threads: int


@dataclass(frozen=True)
class Searches:
    """A catalogue and what it is asked.

    Attributes:
        about: Size and shape in words.
        item_codes: The catalogue.
        labels: (4, 256) uint8 for scans by bounds, or None for their default.
        queries: (Q, D) float32.
        tables: (Q, B, W) float32, the score tables of the queries; equal to what codebooks and
            queries give, but for the sign of zeros.
        item_vectors: (N, D) float32, float16 or bytes with scales, for post-ranking.
        asked: Filters and ks.
    """

    about: str
    item_codes: ItemCodes
    labels: np.ndarray | None
    queries: np.ndarray
    tables: np.ndarray
    item_vectors: ItemVectors
    asked: tuple[Asked, ...]


def searches(seed: int, catalogue: int) -> Searches:
    """What a seed gives for the catalogue of a number, the same every time."""
    rng = np.random.default_rng([seed, catalogue])
    num_items = _num_items(rng)
    num_queries = int(rng.integers(1, (3 if num_items > LARGE else MOST_QUERIES) + 1))
    books, words = _shape(rng)
    kind, order = str(rng.choice(TABLES)), str(rng.choice(CODES))
    codebooks, queries, tables = _tables(rng, kind, (num_queries, books, words))
    codes = _codes(rng, order, (num_items, books), words, tables[0])
    labels = rng.permuted(np.tile(np.arange(256, dtype=np.uint8), (4, 1)), axis=1)
    vectors = rng.standard_normal((num_items, queries.shape[1]), np.float32)
    if rng.random() < 0.5:
        vectors = np.rint(vectors)  # ties
    return Searches(
        f"{num_items} items, {books} x {words} codewords, {kind} tables, {order} codes",
        ItemCodes(codes, codebooks),
        labels if rng.random() < 0.7 else None,
        queries,
        tables,
        _stored(rng, vectors),
        tuple(_asked(rng, codes, words, tables)),
    )


def _stored(rng: np.random.Generator, vectors: np.ndarray) -> ItemVectors:
    kind = rng.choice(3)
    if kind == 0:
        return vectors
    return vectors.astype(np.float16) if kind == 1 else ScaledVectors.of(vectors)


def _num_items(rng: np.random.Generator) -> int:
    begin, end, _ = SIZES[rng.choice(len(SIZES), p=[share for _, _, share in SIZES])]
    return int(rng.integers(begin, end))


def _shape(rng: np.random.Generator) -> tuple[int, int]:
    """B and W: mostly four bytes an item, which scans by bounds take, else anything."""
    kind = rng.choice(3, p=[0.75, 0.1, 0.15])
    if kind == 1:  # two codes make a byte
        return 8, int(rng.choice([1, 2, 3, 15, 16]))
    books = int(rng.choice([1, 2, 3, 5, 6, 7, 8, 12, 16])) if kind else 4
    return books, 256 if rng.random() < 0.5 else int(rng.choice([1, 2, 3, 16, 17, 64, 100, 255]))


def _tables(
    rng: np.random.Generator, kind: str, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codebooks, queries and the queries' score tables."""
    if kind.endswith("vectors"):
        width = int(rng.choice([1, 3, 8, 17]))
        codebooks = rng.standard_normal((*shape[1:], width), np.float32)
        queries = rng.standard_normal((shape[0], width), np.float32)
        if kind == "whole vectors":  # sums without rounding, and many ties
            codebooks, queries = np.rint(codebooks), np.rint(queries)
        made = ItemCodes(np.zeros((1, shape[1]), np.uint8), codebooks)
        return codebooks, queries, made.score_tables(queries)
    tables = _entries(rng, kind, shape).astype(np.float32)
    # Queries that each pick one number of a codeword have any tables one likes.
    codebooks = np.ascontiguousarray(tables.transpose(1, 2, 0))
    return codebooks, np.eye(shape[0], dtype=np.float32), tables


def _entries(rng: np.random.Generator, kind: str, shape: tuple[int, int, int]) -> np.ndarray:
    normal = rng.standard_normal(shape)
    limit = np.finfo(np.float32).max / np.float32(shape[1])  # of what tables may hold
    signs = np.where(np.arange(shape[1]) % 2, -1.0, 1.0)[:, np.newaxis]
    made = {
        "normal": lambda: normal,
        "few values": lambda: rng.integers(-1, 2, shape),
        "constant": lambda: np.full(shape, 0.1),
        "zeros of both signs": lambda: rng.choice([0.0, -0.0], shape),
        "huge": lambda: normal * 1e30,
        "largest": lambda: np.clip(normal, -1, 1).astype(np.float32) * limit,
        "denormal": lambda: normal * 1e-44,
        # Differences at the edge of float32; and sums near nothing, where rounding decides.
        "offset": lambda: 1000 + normal * 1e-4,
        "cancelling": lambda: signs * 1e6 + normal,
        "near ties": lambda: np.nextafter(  # a last bit apart
            rng.integers(-2, 3, shape).astype(np.float32) * np.float32(0.1),
            np.where(normal > 0, 9, -9).astype(np.float32),
        ),
        "all magnitudes": lambda: normal * 10.0 ** rng.uniform(-45, 36, shape),
        # A few entries so high, or so low, that bounds in steps hold all others for equal.
        "towering": lambda: np.where(rng.random(shape) < 0.02, 1e5 * normal, normal),
    }
    return made[kind]()


def _codes(
    rng: np.random.Generator, order: str, shape: tuple[int, int], words: int, table: np.ndarray
) -> np.ndarray:
    num_items, books = shape
    codes = rng.integers(0, words, shape, dtype=np.uint8)
    if order == "few distinct":
        return codes[rng.integers(0, min(num_items, int(rng.choice([1, 3, 100]))), num_items)]
    if order == "skewed first":
        codes[rng.random(num_items) < rng.choice([0.9, 0.999, 1.0]), 0] = rng.integers(words)
    elif order == "skewed":
        codes = (words * rng.random(shape) ** 4).astype(np.uint8)
    elif order == "counted":
        digits = np.arange(num_items)[:, np.newaxis] // words ** np.arange(min(books, 4))
        codes[:, : digits.shape[1]] = digits % words
    elif order.startswith("best"):
        scores = sum(table[book].astype(float)[codes[:, book]] for book in range(books))
        codes = codes[np.argsort(scores if order == "best last" else -scores, kind="stable")]
    return np.ascontiguousarray(codes)


def _asked(
    rng: np.random.Generator, codes: np.ndarray, words: int, tables: np.ndarray
) -> Iterator[Asked]:
    """The filters; many are about the best rows, which a scan must do without."""
    num_items, num_queries = len(codes), len(tables)
    best = ReferenceScan(codes, words).top_k(tables[0], 700).rows
    for number in range(FILTERS):
        ks = [1, 2, 7, 10, 100, 500, 3_000, int(rng.integers(1, min(num_items, LARGE) + 1))]
        if num_items <= LARGE:
            ks += [max(num_items - 1, 1), num_items, num_items + 3]
        chosen = tuple(int(k) for k in rng.choice(ks, 2, replace=False))
        about, rows = "no filter", None
        if number:
            about, rows = _filter(rng, num_items, num_queries, best)
        yield Asked(about, rows, chosen, int(rng.integers(1, 4)))


def _filter(
    rng: np.random.Generator, num_items: int, num_queries: int, best: np.ndarray
) -> tuple[str, BatchFilter]:
    def some_rows(about: str) -> np.ndarray:
        if about == "best":
            return rng.choice(best, rng.integers(1, len(best) + 1), replace=False)
        if about == "all but best":
            return np.setdiff1d(np.arange(num_items), best)
        if about == "few":
            return rng.integers(0, num_items, rng.integers(0, 6))
        return np.flatnonzero(rng.random(num_items) < float(about))

    parts = ("best", "all but best", "few", "0", "0.01", "0.1", "0.5", "0.9", "1")
    exclude, allow, mask = (
        str(rng.choice(parts)) if rng.random() < share else "none" for share in (0.6, 0.4, 0.4)
    )
    permitted = None
    if mask != "none":
        permitted = RowMask(np.isin(np.arange(num_items), some_rows(mask)))
    rows = BatchFilter.of(
        num_items,
        num_queries,
        exclude=None if exclude == "none" else [some_rows(exclude) for _ in range(num_queries)],
        allow=None if allow == "none" else some_rows(allow),
        mask=permitted,
    )
    return f"exclude {exclude}, allow {allow}, mask {mask}", rows
