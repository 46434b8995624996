"""Catalogues to search: learned ones, larger ones made of them, and the worst case.

Learned factors are of this project's iALS and BPR teachers with 32 numbers, on public data. A
larger catalogue resamples them: an item becomes (x_i + 0.35 (x_j - x_l)) exp(0.05 n), with j and l
from the same cell of the first codebook, and is encoded anew. The hundred million are ten copies of
the codes of ten million, most with the last codeword of a neighbour. Everything is kept in
`benchmarks/cache`, because learning takes far longer than measuring.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lightrec.codes.additive_quantization import (
    AdditiveQuantizationConfig,
    additive_quantization,
    encode,
)
from lightrec.codes.item_codes import ItemCodes
from lightrec.interactions.public_datasets import load_public

logger = logging.getLogger("lightrec")
CACHE = Path(__file__).resolve().parent / "cache"
WIDTH = 32
IALS_SWEEPS, BPR_EPOCHS = 12, 20
QUANTIZATION = AdditiveQuantizationConfig(rounds=4, beam=8)
PACKED = QUANTIZATION.model_copy(update={"num_codebooks": 8, "num_codewords": 16})
NUM_QUERIES = 200
SAMPLE = 250_000
"""Items that codebooks are trained on, this project's and those of others."""
ITEMS_OF = {
    "10k": 10_000,
    "20k": 20_000,
    "1m": 1_000_000,
    "10m": 10_000_000,
    "1m_isotropic": 1_000_000,
    "139k_isotropic": 139_738,
}
COPIES = 10  # of the ten million items' codes in the catalogue of a hundred million
ENCODED_AT_ONCE = 1_000_000
SETTINGS = repr((WIDTH, IALS_SWEEPS, BPR_EPOCHS, QUANTIZATION, NUM_QUERIES, SAMPLE, ITEMS_OF))
"""What catalogues in the cache were made with; others are made anew."""


@dataclass(frozen=True)
class Catalogue:
    """Items in both forms, and who asks for them.

    Attributes:
        name: `gowalla`, `epinions`, `epinions_8x16`, `100m`, or one of `ITEMS_OF`.
        factors: `bpr`, `ials` or `isotropic`.
        items: (N, 32) float32, memory-mapped; None where there are codes only.
        item_codes: The same items in 4 bytes.
        queries: (200, 32) float32, vectors of real users.
    """

    name: str
    factors: str
    items: np.ndarray | None
    item_codes: ItemCodes
    queries: np.ndarray


def catalogue(name: str, factors: str) -> Catalogue:
    """A catalogue, from the cache or made now."""
    folder = CACHE / f"{name}-{factors}"
    done = folder / "done"
    if not done.exists() or done.read_text(encoding="utf-8") != SETTINGS:
        logger.warning("making the catalogue %s of %s factors", name, factors)
        folder.mkdir(parents=True, exist_ok=True)
        made = _made(name, factors)
        parts = {
            "items": made.items,
            "codes": made.item_codes.codes,
            "codebooks": made.item_codes.codebooks,
            "queries": made.queries,
        }
        for part, array in parts.items():
            if array is not None:
                np.save(folder / f"{part}.npy", array)
        done.write_text(SETTINGS, encoding="utf-8")
    items = folder / "items.npy"
    return Catalogue(
        name,
        factors,
        np.load(items, mmap_mode="r") if items.exists() else None,
        ItemCodes(np.load(folder / "codes.npy"), np.load(folder / "codebooks.npy")),
        np.load(folder / "queries.npy"),
    )


def files_of(given: Catalogue) -> tuple[Path, Path]:
    """Where its codes and its codebooks are kept."""
    folder = CACHE / f"{given.name}-{given.factors}"
    return folder / "codes.npy", folder / "codebooks.npy"


def _made(name: str, factors: str) -> Catalogue:
    rng = np.random.default_rng(0)
    if factors == "isotropic":
        items = rng.standard_normal((ITEMS_OF[name], WIDTH), np.float32)
        items *= np.exp(0.3 * rng.standard_normal((len(items), 1), np.float32))
        queries = rng.standard_normal((NUM_QUERIES, WIDTH), np.float32)
        return Catalogue(name, factors, items, _quantized(items, rng), queries)
    if name in ("gowalla", "epinions"):
        items, queries = _learned(name, factors, rng)
        return Catalogue(name, factors, items, _quantized(items, rng), queries)
    if name == "epinions_8x16":
        same = catalogue("epinions", factors)
        assert same.items is not None
        codes = additive_quantization(np.ascontiguousarray(same.items), PACKED, rng=rng)
        return replace(same, name=name, item_codes=codes)
    if name == "100m":
        return _copied(catalogue("10m", factors), rng)
    items = resampled(catalogue("epinions", factors), ITEMS_OF[name], rng)
    queries = catalogue("epinions", factors).queries
    return Catalogue(name, factors, items, _quantized(items, rng), queries)


def _learned(name: str, factors: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Item vectors, the rows in random order, and vectors of some users with training pairs."""
    from lightrec.teachers.bpr import BprConfig
    from lightrec.teachers.fit import fit_teacher
    from lightrec.teachers.ials import IalsConfig

    pairs = load_public(name).history()
    settings = {
        "ials": IalsConfig(width=WIDTH, sweeps=IALS_SWEEPS),
        "bpr": BprConfig(width=WIDTH, epochs=BPR_EPOCHS),
    }
    fitted = fit_teacher(pairs, settings[factors], seed=0).factors
    active = np.flatnonzero(pairs.user_degrees())
    users = fitted.users[rng.choice(active, NUM_QUERIES, replace=False)]
    return fitted.items[rng.permutation(len(fitted.items))], users


def resampled(source: Catalogue, num_items: int, rng: np.random.Generator) -> np.ndarray:
    """Vectors of new items in the neighbourhoods of a learned catalogue's."""
    assert source.items is not None
    first = source.item_codes.codes[:, 0]
    by_cell = np.argsort(first, kind="stable")
    starts = np.searchsorted(first[by_cell], np.arange(257))
    made = np.empty((num_items, source.items.shape[1]), np.float32)
    for begin in range(0, num_items, ENCODED_AT_ONCE):
        count = min(ENCODED_AT_ONCE, num_items - begin)
        i = rng.integers(0, len(first), count)
        low, size = starts[first[i]], starts[first[i].astype(int) + 1] - starts[first[i]]
        j, other = (by_cell[low + (rng.random(count) * size).astype(np.int64)] for _ in range(2))
        block = source.items[i] + 0.35 * (source.items[j] - source.items[other])
        block *= np.exp(0.05 * rng.standard_normal((count, 1)))
        made[begin : begin + count] = block
    return made


def _quantized(items: np.ndarray, rng: np.random.Generator) -> ItemCodes:
    """Additive quantisation, its codebooks fitted to a sample of a large catalogue."""
    sample = items
    if len(items) > SAMPLE:
        sample = items[np.sort(rng.choice(len(items), SAMPLE, replace=False))]
    books = additive_quantization(sample, QUANTIZATION, rng=rng)
    if sample is items:
        return books
    blocks = [
        encode(
            np.ascontiguousarray(items[begin : begin + ENCODED_AT_ONCE]),
            books.codebooks,
            beam=4,
            icm_sweeps=1,
        ).codes
        for begin in range(0, len(items), ENCODED_AT_ONCE)
    ]
    return ItemCodes(np.concatenate(blocks), books.codebooks)


def _copied(source: Catalogue, rng: np.random.Generator) -> Catalogue:
    """Ten copies of the codes, shuffled; nine with last codewords of others in the same cell."""
    codes = source.item_codes.codes
    cell = codes[:, 0].astype(np.uint16) << 4 | codes[:, 1] >> 4
    by_cell = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[by_cell], np.arange(4097))
    low, size = starts[cell], starts[cell.astype(int) + 1] - starts[cell]
    made = np.empty((COPIES * len(codes), 4), np.uint8)
    for copy in range(COPIES):
        block = codes.copy()
        if copy:
            other = by_cell[low + (rng.random(len(codes)) * size).astype(np.int64)]
            block[:, 3] = codes[other, 3]
        made[copy * len(codes) : (copy + 1) * len(codes)] = block
    rng.shuffle(made)
    item_codes = ItemCodes(made, source.item_codes.codebooks)
    return Catalogue("100m", source.factors, None, item_codes, source.queries)
