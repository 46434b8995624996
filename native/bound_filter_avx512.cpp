// The filter in AVX-512 VBMI: a table of 256 bytes lies in four registers, and two permutations and a blend
// look 64 codes up in it at once. With the lesser deficit of each two neighbouring codewords one permutation
// does, half the work, and some more items pass.
#include "bound_filter.hpp"

#if LIGHTREC_X86
#include <immintrin.h>

#include <algorithm>

namespace lightrec {
namespace {

constexpr std::size_t kBlockBytes = 64 * kFourBooks;

// The deficits of all codewords of a book.
struct Table256 {
  __m512i part[4];

  LIGHTREC_AVX512 static Table256 of(const Deficits& deficits, std::size_t book) {
    const std::uint8_t* words = deficits.of(book);
    return {{_mm512_load_si512(words), _mm512_load_si512(words + 64), _mm512_load_si512(words + 128),
             _mm512_load_si512(words + 192)}};
  }

  LIGHTREC_AVX512 __m512i look_up(const std::uint8_t* codes) const {
    const __m512i code = _mm512_loadu_si512(codes);
    const __m512i low = _mm512_permutex2var_epi8(part[0], code, part[1]);
    const __m512i high = _mm512_permutex2var_epi8(part[2], code, part[3]);
    return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(code), high);
  }
};

// The entries of 64 of them by the low six bits of a code. GCC 12 warns of the function without a mask.
LIGHTREC_AVX512 inline __m512i permuted(__m512i entries, __m512i code) {
  return _mm512_maskz_permutexvar_epi8(~std::uint64_t{0}, code, entries);
}

// The lesser deficit of each two neighbouring codewords: two registers.
struct TableOfPairs {
  __m512i part[2];

  LIGHTREC_AVX512 static TableOfPairs of(const Deficits& deficits, std::size_t book) {
    const std::uint8_t* pairs = deficits.of_pair(book);
    return {{_mm512_load_si512(pairs), _mm512_load_si512(pairs + 64)}};
  }

  // What the shift brings in from the next byte lands in bit 7, which does not count.
  LIGHTREC_AVX512 __m512i look_up(const std::uint8_t* codes) const {
    return _mm512_permutex2var_epi8(part[0], _mm512_srli_epi16(_mm512_loadu_si512(codes), 1), part[1]);
  }
};

// Sixty-four neighbouring codewords.
struct Table64 {
  __m512i words;

  LIGHTREC_AVX512 __m512i look_up(const std::uint8_t* codes) const {
    return permuted(words, _mm512_loadu_si512(codes));
  }
};

template <typename Table>
LIGHTREC_AVX512 std::size_t filter_blocks(const Deficits& deficits, int limit, const std::uint8_t* blocks,
                                          std::size_t begin, std::size_t end, Hit* hits) {
  const Table t0 = Table::of(deficits, 0), t1 = Table::of(deficits, 1), t2 = Table::of(deficits, 2),
              t3 = Table::of(deficits, 3);
  const __m512i most = _mm512_set1_epi8(static_cast<char>(limit));
  Hit* next = hits;
  for (std::size_t block = begin; block < end; ++block) {
    const std::uint8_t* codes = blocks + block * kBlockBytes;
    const __m512i first = _mm512_adds_epu8(t0.look_up(codes), t1.look_up(codes + 64));
    const __m512i second = _mm512_adds_epu8(t2.look_up(codes + 128), t3.look_up(codes + 192));
    const std::uint64_t items = _mm512_cmple_epu8_mask(_mm512_adds_epu8(first, second), most);
    *next = {items, static_cast<std::uint32_t>(block * 64), 0};  // written always, kept when there is a hit
    next += items != 0;
  }
  return static_cast<std::size_t>(next - hits);
}

// second(run): the table of book 1 for the run.
template <typename Table, typename Second>
LIGHTREC_AVX512 inline std::size_t filter_runs(const Deficits& deficits, const Planes& planes, const Run* runs,
                                               std::size_t count, Hit* hits, Second second) {
  const Table t2 = Table::of(deficits, 2), t3 = Table::of(deficits, 3);
  Hit* next = hits;
  for (const Run* run = runs; run != runs + count; ++run) {
    const __m512i most = _mm512_set1_epi8(static_cast<char>(run->limit));
    const auto t1 = second(*run);
    for (std::uint32_t first = run->begin; first < run->end; first += 64) {
      const __m512i sum = _mm512_adds_epu8(
          _mm512_adds_epu8(t2.look_up(planes.of_book[1] + first), t3.look_up(planes.of_book[2] + first)),
          t1.look_up(planes.of_book[0] + first));
      const std::uint32_t left = run->end - first;
      const std::uint64_t present = left < 64 ? (std::uint64_t{1} << left) - 1 : ~std::uint64_t{0};
      const std::uint64_t items = _mm512_cmple_epu8_mask(sum, most) & present;
      *next = {items, first, run->word};
      next += items != 0;
    }
  }
  return static_cast<std::size_t>(next - hits);
}

template <typename Table>
LIGHTREC_AVX512 std::size_t filter_short_runs(const Deficits& deficits, const Planes& planes, const Run* runs,
                                              std::size_t count, Hit* hits) {
  const std::uint8_t *second = deficits.of(1), *words = planes.of_book[0];
  return filter_runs<Table>(deficits, planes, runs, count, hits, [=](const Run& run) LIGHTREC_AVX512 {
    return Table64{_mm512_load_si512(second + (words[run.begin] & 0xC0U))};
  });
}

template <typename Table>
LIGHTREC_AVX512 std::size_t filter_long_runs(const Deficits& deficits, const Planes& planes, const Run* runs,
                                             std::size_t count, Hit* hits) {
  const Table t1 = Table::of(deficits, 1);
  return filter_runs<Table>(deficits, planes, runs, count, hits, [=](const Run&) LIGHTREC_AVX512 { return t1; });
}

LIGHTREC_AVX512 std::size_t near_tiles(const std::uint8_t* ranges, const Tiles& tiles, std::size_t begin,
                                       std::size_t end, int left, std::uint32_t* found) {
  const Table64 table{_mm512_load_si512(ranges)};
  const __m512i most = _mm512_set1_epi8(static_cast<char>(left));
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::uint32_t* next = found;
  for (std::size_t first = begin; first < end; first += 64) {
    const __m512i bound = _mm512_min_epu8(table.look_up(tiles.lows + first), table.look_up(tiles.highs + first));
    const auto present = static_cast<unsigned>(std::min<std::size_t>(end - first, 64));
    std::uint64_t near = _bzhi_u64(_mm512_cmple_epu8_mask(bound, most), present);
    __m512i tile = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(first)));
    do {  // sixteen at once: how many of them are near nobody can predict
      const auto some = static_cast<__mmask16>(near);
      _mm512_storeu_si512(next, _mm512_maskz_compress_epi32(some, tile));
      next += __builtin_popcount(some);
      tile = _mm512_add_epi32(tile, _mm512_set1_epi32(16));
      near >>= 16;
    } while (near != 0);
  }
  return static_cast<std::size_t>(next - found);
}

template <typename Table>
LIGHTREC_AVX512 std::size_t filter_tiles(const Deficits& deficits, int limit, const Tiles& tiles,
                                         const std::uint32_t* found, std::size_t count, Hit* hits) {
  const Table t1 = Table::of(deficits, 1), t2 = Table::of(deficits, 2), t3 = Table::of(deficits, 3);
  const std::uint8_t* first_book = deficits.of(0);
  Hit* next = hits;
  for (const std::uint32_t* tile = found; tile != found + count; ++tile) {
    const std::uint32_t first = 64 * *tile;
    const std::uint8_t word = tiles.words[*tile];
    const __m512i most = _mm512_set1_epi8(static_cast<char>(limit - first_book[word]));
    const __m512i sum = _mm512_adds_epu8(
        _mm512_adds_epu8(t2.look_up(tiles.planes.of_book[1] + first), t3.look_up(tiles.planes.of_book[2] + first)),
        t1.look_up(tiles.planes.of_book[0] + first));
    const std::uint64_t items = _bzhi_u64(_mm512_cmple_epu8_mask(sum, most), tiles.counts[*tile]);
    *next = {items, first, word};
    next += items != 0;
  }
  return static_cast<std::size_t>(next - hits);
}

LIGHTREC_AVX512 std::uint64_t within(const std::uint8_t* bytes, int limit) {
  return _mm512_cmple_epu8_mask(_mm512_load_si512(bytes), _mm512_set1_epi8(static_cast<char>(limit)));
}

const BoundFilter kCoarse = {filter_blocks<TableOfPairs>,
                             {filter_short_runs<TableOfPairs>, 64},
                             {filter_long_runs<TableOfPairs>, 256},
                             {near_tiles, filter_tiles<TableOfPairs>},
                             within,
                             nullptr};

}  // namespace

const BoundFilter kAvx512Filter = {filter_blocks<Table256>,
                                   {filter_short_runs<Table256>, 64},
                                   {filter_long_runs<Table256>, 256},
                                   {near_tiles, filter_tiles<Table256>},
                                   within,
                                   &kCoarse};

}  // namespace lightrec
#endif
