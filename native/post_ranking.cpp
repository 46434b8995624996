#include "post_ranking.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "eight_floats.hpp"
#include "errors.hpp"
#include "instruction_sets.hpp"
#include "k_best.hpp"

#if LIGHTREC_X86
#include <immintrin.h>
#endif

namespace lightrec {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kAhead = 8;  // rows between what is read and what is asked for: they lie anywhere

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
  __builtin_cpu_init();
  // Every processor with AVX2 has the conversions of F16C.
  return __builtin_cpu_supports("avx2") ? widen_f16c : widen_portable;
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
    const char* start = address(index);
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

  void prefetch(std::int64_t index) const {
    const char* start = address(index);
    for (std::size_t byte = 0; byte < vectors_.bytes_per_row(); byte += 64) __builtin_prefetch(start + byte);
  }

 private:
  const char* address(std::int64_t index) const {
    return static_cast<const char*>(vectors_.values) + static_cast<std::size_t>(index) * vectors_.bytes_per_row();
  }

  const ItemVectors& vectors_;
  Widen widen_;
  std::vector<float> copy_;
};

}  // namespace

Ranking post_rank(const float* query, const ItemVectors& vectors, const std::int64_t* rows, std::size_t count,
                  std::size_t k) {
  const std::size_t padded_width = (vectors.width + kLanes - 1) / kLanes * kLanes;
  std::vector<float> padded(padded_width, 0.0F);
  std::copy_n(query, vectors.width, padded.begin());
  RowReader reader(vectors, padded_width);
  KBest best;
  best.start(std::max<std::size_t>(std::min(k, count), 1), -std::numeric_limits<float>::infinity(), nullptr);
  const KBest::Room room = best.room(count);
  for (std::size_t i = 0; i < std::min(kAhead, count); ++i) reader.prefetch(rows[i]);
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) reader.prefetch(rows[i + kAhead]);
    float score = inner_product(padded.data(), reader.row(rows[i]), padded_width);
    if (vectors.scales != nullptr) score *= vectors.scales[rows[i]];
    if (!std::isfinite(score)) {
      throw ArgumentError("the score of item row " + std::to_string(rows[i]) +
                          " by float vectors is not finite");
    }
    room.orders[i] = KBest::order_of(score);
    room.items[i] = static_cast<std::uint32_t>(rows[i]);
  }
  best.keep(count);
  return best.finish();
}

}  // namespace lightrec
