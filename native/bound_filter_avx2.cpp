// The filter in AVX2: a shuffle knows only 16 entries, so four of them look 32 codes up in a table of 64, and
// the least deficit of four neighbouring codewords stands for all four. Codewords are numbered so that
// neighbours are alike; the filter lets more items through than one of 256 entries, and none is lost.
#include "bound_filter.hpp"

#if LIGHTREC_X86
#include <immintrin.h>

namespace lightrec {
namespace {

constexpr std::size_t kBlockBytes = 64 * kFourBooks;

LIGHTREC_AVX2 inline __m256i load32(const std::uint8_t* bytes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
}

LIGHTREC_AVX2 inline __m256i load16_twice(const std::uint8_t* bytes) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

struct Table64 {
  __m256i part[4];
};

LIGHTREC_AVX2 inline Table64 load(const std::uint8_t* fours) {
  return {{load16_twice(fours), load16_twice(fours + 16), load16_twice(fours + 32), load16_twice(fours + 48)}};
}

// A shuffle gives 0 where the top bit of an index is set. Adding 0x70 with saturation sets it unless the
// index is below 16, and an exclusive or moves each quarter of the table there in turn.
LIGHTREC_AVX2 inline __m256i look_up(const Table64& table, const std::uint8_t* codes) {
  const __m256i four = _mm256_and_si256(_mm256_srli_epi16(load32(codes), 2), _mm256_set1_epi8(63));
  const __m256i outside = _mm256_set1_epi8(0x70);
  const __m256i index0 = _mm256_adds_epu8(four, outside);
  const __m256i index1 = _mm256_adds_epu8(_mm256_xor_si256(four, _mm256_set1_epi8(16)), outside);
  const __m256i index2 = _mm256_adds_epu8(_mm256_xor_si256(four, _mm256_set1_epi8(32)), outside);
  const __m256i index3 = _mm256_adds_epu8(_mm256_xor_si256(four, _mm256_set1_epi8(48)), outside);
  const __m256i low =
      _mm256_or_si256(_mm256_shuffle_epi8(table.part[0], index0), _mm256_shuffle_epi8(table.part[1], index1));
  const __m256i high =
      _mm256_or_si256(_mm256_shuffle_epi8(table.part[2], index2), _mm256_shuffle_epi8(table.part[3], index3));
  return _mm256_or_si256(low, high);
}

// One bit for each byte that is at most `most`.
LIGHTREC_AVX2 inline std::uint32_t at_most(__m256i sum, __m256i most) {
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(sum, most), sum)));
}

LIGHTREC_AVX2
std::size_t filter_blocks(const Deficits& deficits, int limit, const std::uint8_t* blocks, std::size_t begin,
                          std::size_t end, Hit* hits) {
  const Table64 t0 = load(deficits.of_four(0)), t1 = load(deficits.of_four(1)),
                t2 = load(deficits.of_four(2)), t3 = load(deficits.of_four(3));
  const __m256i most = _mm256_set1_epi8(static_cast<char>(limit));
  Hit* next = hits;
  for (std::size_t block = begin; block < end; ++block) {
    std::uint64_t items = 0;
    for (std::size_t half = 0; half < 2; ++half) {
      const std::uint8_t* codes = blocks + block * kBlockBytes + 32 * half;
      const __m256i first = _mm256_adds_epu8(look_up(t0, codes), look_up(t1, codes + 64));
      const __m256i second = _mm256_adds_epu8(look_up(t2, codes + 128), look_up(t3, codes + 192));
      items |= std::uint64_t{at_most(_mm256_adds_epu8(first, second), most)} << (32 * half);
    }
    *next = {items, static_cast<std::uint32_t>(block * 64), 0};  // written always, kept when there is a hit
    next += items != 0;
  }
  return static_cast<std::size_t>(next - hits);
}

// Sixteen neighbouring codewords: their own deficits, not a bound.
struct Table16 {
  __m256i words;
};

LIGHTREC_AVX2 inline __m256i look_up(const Table16& table, const std::uint8_t* codes) {
  return _mm256_shuffle_epi8(table.words, _mm256_and_si256(load32(codes), _mm256_set1_epi8(15)));
}

// second(run): the table of book 1 for the run.
template <typename Second>
LIGHTREC_AVX2 inline std::size_t filter_runs(const Deficits& deficits, const Planes& planes, const Run* runs,
                                             std::size_t count, Hit* hits, Second second) {
  const Table64 t2 = load(deficits.of_four(2)), t3 = load(deficits.of_four(3));
  Hit* next = hits;
  for (const Run* run = runs; run != runs + count; ++run) {
    const __m256i most = _mm256_set1_epi8(static_cast<char>(run->limit));
    const auto t1 = second(*run);
    for (std::uint32_t first = run->begin; first < run->end; first += 32) {
      const __m256i sum = _mm256_adds_epu8(
          _mm256_adds_epu8(look_up(t2, planes.of_book[1] + first), look_up(t3, planes.of_book[2] + first)),
          look_up(t1, planes.of_book[0] + first));
      const std::uint32_t left = run->end - first;
      const std::uint32_t present = left < 32 ? (std::uint32_t{1} << left) - 1 : ~std::uint32_t{0};
      const std::uint32_t items = at_most(sum, most) & present;
      *next = {items, first, run->word};
      next += items != 0;
    }
  }
  return static_cast<std::size_t>(next - hits);
}

LIGHTREC_AVX2
std::size_t filter_short_runs(const Deficits& deficits, const Planes& planes, const Run* runs,
                              std::size_t count, Hit* hits) {
  const std::uint8_t *second = deficits.of(1), *words = planes.of_book[0];
  return filter_runs(deficits, planes, runs, count, hits, [=](const Run& run) LIGHTREC_AVX2 {
    return Table16{load16_twice(second + (words[run.begin] & 0xF0U))};
  });
}

LIGHTREC_AVX2
std::size_t filter_long_runs(const Deficits& deficits, const Planes& planes, const Run* runs,
                             std::size_t count, Hit* hits) {
  const Table64 t1 = load(deficits.of_four(1));
  return filter_runs(deficits, planes, runs, count, hits, [=](const Run&) LIGHTREC_AVX2 { return t1; });
}

LIGHTREC_AVX2 std::uint64_t within(const std::uint8_t* bytes, int limit) {
  const __m256i most = _mm256_set1_epi8(static_cast<char>(limit));
  return at_most(load32(bytes), most) | std::uint64_t{at_most(load32(bytes + 32), most)} << 32;
}

}  // namespace

const BoundFilter kAvx2Filter = {filter_blocks, {filter_short_runs, 16}, {filter_long_runs, 256}, {}, within, nullptr};

}  // namespace lightrec
#endif
