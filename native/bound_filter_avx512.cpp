// The filter in AVX-512 VBMI: a table of 256 bytes lies in four registers, and two permutations and a blend
// look 64 codes up in it at once.
#include "bound_filter.hpp"

#if LIGHTREC_X86
#include <immintrin.h>

#include <algorithm>

namespace lightrec {
namespace {

constexpr std::size_t kBlockBytes = 64 * kFourBooks;

struct Table256 {
  __m512i part[4];
};

LIGHTREC_AVX512 inline Table256 load(const std::uint8_t* words) {
  return {{_mm512_load_si512(words), _mm512_load_si512(words + 64), _mm512_load_si512(words + 128),
           _mm512_load_si512(words + 192)}};
}

LIGHTREC_AVX512 inline __m512i look_up(const Table256& table, const std::uint8_t* codes) {
  const __m512i code = _mm512_loadu_si512(codes);
  const __m512i low = _mm512_permutex2var_epi8(table.part[0], code, table.part[1]);
  const __m512i high = _mm512_permutex2var_epi8(table.part[2], code, table.part[3]);
  return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(code), high);
}

LIGHTREC_AVX512
std::size_t filter_blocks(const Deficits& deficits, int limit, const std::uint8_t* blocks, std::size_t begin,
                          std::size_t end, Hit* hits) {
  const Table256 t0 = load(deficits.of(0)), t1 = load(deficits.of(1)), t2 = load(deficits.of(2)),
                 t3 = load(deficits.of(3));
  const __m512i most = _mm512_set1_epi8(static_cast<char>(limit));
  Hit* next = hits;
  for (std::size_t block = begin; block < end; ++block) {
    const std::uint8_t* codes = blocks + block * kBlockBytes;
    const __m512i first = _mm512_adds_epu8(look_up(t0, codes), look_up(t1, codes + 64));
    const __m512i second = _mm512_adds_epu8(look_up(t2, codes + 128), look_up(t3, codes + 192));
    const std::uint64_t items = _mm512_cmple_epu8_mask(_mm512_adds_epu8(first, second), most);
    *next = {items, static_cast<std::uint32_t>(block * 64), 0};  // written always, kept when there is a hit
    next += items != 0;
  }
  return static_cast<std::size_t>(next - hits);
}

LIGHTREC_AVX512 inline __m512i look_up(__m512i table, const std::uint8_t* codes) {
  constexpr __mmask64 kAll = ~std::uint64_t{0};  // GCC 12 warns of the function without a mask
  return _mm512_maskz_permutexvar_epi8(kAll, _mm512_loadu_si512(codes), table);  // by the low six bits
}

// second(run): the table of book 1 for the run.
template <typename Second>
LIGHTREC_AVX512 inline std::size_t filter_runs(const Deficits& deficits, const Planes& planes, const Run* runs,
                                               std::size_t count, Hit* hits, Second second) {
  const Table256 t2 = load(deficits.of(2)), t3 = load(deficits.of(3));
  Hit* next = hits;
  for (const Run* run = runs; run != runs + count; ++run) {
    const __m512i most = _mm512_set1_epi8(static_cast<char>(run->limit));
    const auto t1 = second(*run);
    for (std::uint32_t first = run->begin; first < run->end; first += 64) {
      const __m512i sum = _mm512_adds_epu8(
          _mm512_adds_epu8(look_up(t2, planes.of_book[1] + first), look_up(t3, planes.of_book[2] + first)),
          look_up(t1, planes.of_book[0] + first));
      const std::uint32_t left = run->end - first;
      const std::uint64_t present = left < 64 ? (std::uint64_t{1} << left) - 1 : ~std::uint64_t{0};
      const std::uint64_t items = _mm512_cmple_epu8_mask(sum, most) & present;
      *next = {items, first, run->word};
      next += items != 0;
    }
  }
  return static_cast<std::size_t>(next - hits);
}

LIGHTREC_AVX512
std::size_t filter_short_runs(const Deficits& deficits, const Planes& planes, const Run* runs,
                              std::size_t count, Hit* hits) {
  const std::uint8_t *second = deficits.of(1), *words = planes.of_book[0];
  return filter_runs(deficits, planes, runs, count, hits, [=](const Run& run) LIGHTREC_AVX512 {
    return _mm512_load_si512(second + (words[run.begin] & 0xC0U));
  });
}

LIGHTREC_AVX512
std::size_t filter_long_runs(const Deficits& deficits, const Planes& planes, const Run* runs,
                             std::size_t count, Hit* hits) {
  const Table256 t1 = load(deficits.of(1));
  return filter_runs(deficits, planes, runs, count, hits, [=](const Run&) LIGHTREC_AVX512 { return t1; });
}

LIGHTREC_AVX512 std::uint64_t within(const std::uint8_t* bytes, int limit) {
  return _mm512_cmple_epu8_mask(_mm512_load_si512(bytes), _mm512_set1_epi8(static_cast<char>(limit)));
}

}  // namespace

const BoundFilter kAvx512Filter = {filter_blocks, {filter_short_runs, 64}, {filter_long_runs, 256}, within};

}  // namespace lightrec
#endif
