#include "post_ranking.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "eight_floats.hpp"
#include "errors.hpp"
#include "finite.hpp"
#include "instruction_sets.hpp"
#include "k_best.hpp"
#include "parallel.hpp"
#include "prefetch.hpp"

#if LIGHTREC_X86
#include <immintrin.h>
#endif

namespace lightrec {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kAhead = 8;  // rows between what is read and what is asked for: they lie anywhere

std::size_t padded(std::size_t width) { return (width + kLanes - 1) / kLanes * kLanes; }

// query and vector are padded with zeros to whole lanes. Sixteen sums, added up half to half.
LIGHTREC_MULTIVERSIONED
float inner_product(const float* query, const float* vector, std::size_t padded_width) {
  Eight low = eight(query) * eight(vector), high = eight(query + 8) * eight(vector + 8);
  for (std::size_t first = kLanes; first < padded_width; first += kLanes) {
    low += eight(query + first) * eight(vector + first);
    high += eight(query + first + 8) * eight(vector + first + 8);
  }
  const Eight sums = low + high;
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

float widened(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half} >> 15 << 31;
  const std::uint32_t exponent = half >> 10 & 31U, fraction = half & 1023U;
  if (exponent == 0) {  // zero, or a multiple of 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t bits = sign | (exponent == 31 ? 255U : exponent + 112U) << 23 | fraction << 13;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void widen_portable(const std::uint16_t* halves, std::size_t count, float* floats) {
  for (std::size_t i = 0; i < count; ++i) floats[i] = widened(halves[i]);
}

LIGHTREC_MULTIVERSIONED
void widen_bytes(const std::int8_t* bytes, std::size_t count, float* floats) {
  for (std::size_t i = 0; i < count; ++i) floats[i] = static_cast<float>(bytes[i]);
}

using Widen = void (*)(const std::uint16_t*, std::size_t, float*);

#if LIGHTREC_X86
__attribute__((target("avx,f16c"))) void widen_f16c(const std::uint16_t* halves, std::size_t count,
                                                    float* floats) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i));
    _mm256_storeu_ps(floats + i, _mm256_cvtph_ps(eight));
  }
  widen_portable(halves + i, count - i, floats + i);
}

Widen best_widen() {
  static const bool converts = converts_half_floats();  // once: a virtual machine is slow to tell
  return converts ? widen_f16c : widen_portable;
}
#else
Widen best_widen() { return widen_portable; }
#endif

// One row at a time as padded floats; float32 rows of whole lanes are borrowed.
class RowReader {
 public:
  RowReader(const ItemVectors& vectors, std::size_t padded_width)
      : vectors_(vectors), widen_(best_widen()), copy_(padded_width, 0.0F) {}

  const float* row(std::int64_t index) {
    const char* start = vectors_.row(index);
    if (vectors_.type == ItemVectors::Type::kFloat16) {
      widen_(reinterpret_cast<const std::uint16_t*>(start), vectors_.width, copy_.data());
      return copy_.data();
    }
    if (vectors_.type == ItemVectors::Type::kInt8) {
      widen_bytes(reinterpret_cast<const std::int8_t*>(start), vectors_.width, copy_.data());
      return copy_.data();
    }
    if (vectors_.width % kLanes == 0) return reinterpret_cast<const float*>(start);
    std::memcpy(copy_.data(), start, vectors_.bytes_per_row());
    return copy_.data();
  }

 private:
  const ItemVectors& vectors_;
  Widen widen_;
  std::vector<float> copy_;
};

// All lines of a row: one that begins amid a line ends in one more than its length tells.
LIGHTREC_INLINE void prefetch_row(const ItemVectors& vectors, std::int64_t index) {
  const char* start = vectors.row(index);
  const std::size_t last = vectors.bytes_per_row() - 1;
  for (std::size_t byte = 0; byte < last; byte += kLine) prefetch(start + byte);
  prefetch(start + last);
}

// The inner products of the query, padded to whole lanes, with some rows.
using InnerProducts = void (*)(const float* query, const ItemVectors& vectors, const std::int64_t* rows,
                               std::size_t count, float* products);

void inner_products(const float* query, const ItemVectors& vectors, const std::int64_t* rows, std::size_t count,
                    float* products) {
  const std::size_t padded_width = padded(vectors.width);
  RowReader reader(vectors, padded_width);
  for (std::size_t i = 0; i < std::min(kAhead, count); ++i) prefetch_row(vectors, rows[i]);
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) prefetch_row(vectors, rows[i + kAhead]);
    products[i] = inner_product(query, reader.row(rows[i]), padded_width);
  }
}

#if LIGHTREC_X86
constexpr std::size_t kRows = 4;  // at once

// Sixteen numbers of a row, those that the mask leaves out being zero.
struct Float32 {
  static constexpr std::size_t kBytes = 4;
  LIGHTREC_AVX512 static __m512 load(const char* numbers, __mmask16 mask) {
    return _mm512_maskz_loadu_ps(mask, numbers);
  }
};

struct Float16 {
  static constexpr std::size_t kBytes = 2;
  LIGHTREC_AVX512 static __m512 load(const char* numbers, __mmask16 mask) {
    return _mm512_maskz_cvtph_ps(mask, _mm256_maskz_loadu_epi16(mask, numbers));
  }
};

struct Int8 {
  static constexpr std::size_t kBytes = 1;
  LIGHTREC_AVX512 static __m512 load(const char* numbers, __mmask16 mask) {
    return _mm512_maskz_cvtepi32_ps(mask, _mm512_maskz_cvtepi8_epi32(mask, _mm_maskz_loadu_epi8(mask, numbers)));
  }
};

// Sixteen sums, the upper eight added to the lower, and of these likewise. GCC 12 warns of the functions without
// a mask.
LIGHTREC_AVX512 inline __m128 folded(__m512 sums) {
  constexpr __mmask8 kAll = 0xFF;
  const __m256 eight =
      _mm256_add_ps(_mm512_maskz_extractf32x8_ps(kAll, sums, 0), _mm512_maskz_extractf32x8_ps(kAll, sums, 1));
  return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
}

// Four rows at once, summed up as by inner_product; that sums begin at zero shows in the sign of zeros only.
template <typename Numbers>
LIGHTREC_AVX512 inline __m128 four_products(const float* query, const char* const* rows, std::size_t width) {
  __m512 sums[kRows] = {};
  for (std::size_t first = 0; first < width; first += kLanes) {
    const std::size_t left = width - first;
    const auto mask = static_cast<__mmask16>(left < kLanes ? (1U << left) - 1 : 0xFFFFU);
    const __m512 part = _mm512_loadu_ps(query + first);
    for (std::size_t r = 0; r < kRows; ++r) {
      const __m512 numbers = Numbers::load(rows[r] + first * Numbers::kBytes, mask);
      sums[r] = _mm512_add_ps(sums[r], _mm512_mul_ps(part, numbers));
    }
  }
  __m128 a = folded(sums[0]), b = folded(sums[1]), c = folded(sums[2]), d = folded(sums[3]);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  return _mm_add_ps(_mm_add_ps(a, c), _mm_add_ps(b, d));
}

template <typename Numbers>
LIGHTREC_AVX512 void inner_products_avx512(const float* query, const ItemVectors& vectors, const std::int64_t* rows,
                                           std::size_t count, float* products) {
  for (std::size_t i = 0; i < std::min(kAhead, count); ++i) prefetch_row(vectors, rows[i]);
  for (std::size_t i = 0; i < count; i += kRows) {
    const char* starts[kRows];
    for (std::size_t r = 0; r < kRows; ++r) {
      starts[r] = vectors.row(rows[std::min(i + r, count - 1)]);
      if (i + r + kAhead < count) prefetch_row(vectors, rows[i + r + kAhead]);
    }
    const __m128 four = four_products<Numbers>(query, starts, vectors.width);
    const std::size_t left = count - i;
    const auto mask = static_cast<__mmask8>(left < kRows ? (1U << left) - 1 : 0xFU);
    _mm_mask_storeu_ps(products + i, mask, four);
  }
}
#endif

InnerProducts best_inner_products(ItemVectors::Type type) {
#if LIGHTREC_X86
  static const bool has_avx512 = best_instruction_set() == InstructionSet::kAvx512Vbmi;
  if (has_avx512) {
    return type == ItemVectors::Type::kFloat32   ? inner_products_avx512<Float32>
           : type == ItemVectors::Type::kFloat16 ? inner_products_avx512<Float16>
                                                 : inner_products_avx512<Int8>;
  }
#endif
  (void)type;
  return inner_products;
}

void refuse_infinite(const float* scores, const std::int64_t* rows, std::size_t count) {
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  for (std::size_t i = 0; i < count; ++i) {
    if (!std::isfinite(scores[i])) first = std::min(first, rows[i]);
  }
  throw ArgumentError("the score of item row " + std::to_string(first) + " by float vectors is not finite");
}

// Kept by a thread, so that queries do not allocate.
struct PostRanking {
  std::vector<float> query, scores;
  KBest best;
};

}  // namespace

std::vector<std::int64_t> distinct(const std::int64_t* rows, std::size_t count, std::size_t num_rows) {
  unsigned bits = 1;
  while ((std::size_t{1} << bits) < 2 * count) ++bits;
  const std::size_t last = (std::size_t{1} << bits) - 1;
  std::vector<std::int64_t> slots(last + 1, -1), found;
  found.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t row = rows[i];  // read once: it is checked, and what was checked is used
    if (row < 0 || static_cast<std::size_t>(row) >= num_rows) {
      throw ArgumentError("candidate rows must be rows of items");
    }
    std::size_t slot = static_cast<std::uint64_t>(row) * 0x9E3779B97F4A7C15U >> (64 - bits);
    while (slots[slot] >= 0 && slots[slot] != row) slot = (slot + 1) & last;
    if (slots[slot] < 0) found.push_back(row);
    slots[slot] = row;
  }
  return found;
}

Ranking post_rank(const float* query, const ItemVectors& vectors, const std::int64_t* rows, std::size_t count,
                  std::size_t k) {
  thread_local PostRanking mine;
  mine.query.assign(padded(vectors.width), 0.0F);
  std::copy_n(query, vectors.width, mine.query.begin());
  if (mine.scores.size() < count) mine.scores.resize(count);
  float* scores = mine.scores.data();
  best_inner_products(vectors.type)(mine.query.data(), vectors, rows, count, scores);
  if (vectors.scales != nullptr) {
    for (std::size_t i = 0; i < count; ++i) scores[i] *= vectors.scales[rows[i]];
  }
  if (!all_within(scores, count, std::numeric_limits<float>::max())) refuse_infinite(scores, rows, count);
  mine.best.start(std::max<std::size_t>(std::min(k, count), 1), -std::numeric_limits<float>::infinity(), nullptr);
  const KBest::Room room = mine.best.room(count);
  for (std::size_t i = 0; i < count; ++i) {
    room.orders[i] = order_of(scores[i]);
    room.items[i] = static_cast<std::uint32_t>(rows[i]);
  }
  mine.best.keep(count);
  if (count > KBest::kMostKept) std::vector<float>().swap(mine.scores);
  return mine.best.finish();
}

void post_rank_batch(const float* queries, const ItemVectors& vectors, const Recalled& recalled,
                     std::size_t num_queries, std::size_t k, std::size_t threads, const BatchResult& result) {
  const std::size_t of_one = 1 + recalled.width * vectors.width / 2'000;  // microseconds, about
  std::vector<std::string> failures(num_queries);  // the first one counts, whichever thread comes to one first
  parallel_for(num_queries, worthwhile(threads, num_queries * of_one), [&](std::size_t query) {
    try {
      const std::vector<std::int64_t> rows = distinct(recalled.rows + query * recalled.width,
                                                      static_cast<std::size_t>(recalled.counts[query]), vectors.num_rows);
      result.store(query, post_rank(queries + query * vectors.width, vectors, rows.data(), rows.size(), k));
    } catch (const ArgumentError& error) {
      failures[query] = error.what();
    }
  });
  for (std::size_t query = 0; query < num_queries; ++query) {
    if (!failures[query].empty()) throw ArgumentError("query " + std::to_string(query) + ": " + failures[query]);
  }
}

}  // namespace lightrec
