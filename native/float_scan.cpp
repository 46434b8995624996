#include "float_scan.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "instruction_sets.hpp"
#include "k_best.hpp"

#if LIGHTREC_X86
#include <immintrin.h>
#endif

namespace lightrec {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kBlocksAtOnce = 128;  // between two looks at the bar
constexpr std::size_t kFirstBlocks = 16;

// Scores of the blocks' items that are at least `bar`, with their places; returns how many. The arrays have
// room for all.
using ScoreBlocks = std::size_t (*)(const float* query, std::size_t width, const float* blocks,
                                    std::size_t count, std::uint32_t first_item, float bar,
                                    std::int32_t* orders, std::uint32_t* items);

std::size_t keep_reaching(const float* scores, std::uint32_t first_item, float bar, std::int32_t* orders,
                          std::uint32_t* items) {
  std::size_t kept = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    orders[kept] = order_of(scores[lane]);
    items[kept] = first_item + static_cast<std::uint32_t>(lane);
    kept += scores[lane] >= bar ? 1U : 0U;
  }
  return kept;
}

std::size_t score_blocks_portable(const float* query, std::size_t width, const float* blocks,
                                  std::size_t count, std::uint32_t first_item, float bar,
                                  std::int32_t* orders, std::uint32_t* items) {
  std::size_t kept = 0;
  for (std::size_t block = 0; block < count; ++block, first_item += kLanes) {
    float sums[kLanes] = {};
    for (std::size_t d = 0; d < width; ++d, blocks += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += query[d] * blocks[lane];
    }
    kept += keep_reaching(sums, first_item, bar, orders + kept, items + kept);
  }
  return kept;
}

#if LIGHTREC_X86
__attribute__((target("avx2,fma"))) std::size_t score_blocks_avx2(const float* query, std::size_t width,
                                                                  const float* blocks, std::size_t count,
                                                                  std::uint32_t first_item, float bar,
                                                                  std::int32_t* orders,
                                                                  std::uint32_t* items) {
  std::size_t kept = 0;
  const __m256 least = _mm256_set1_ps(bar);
  alignas(32) float sums[kLanes];
  for (std::size_t block = 0; block < count; ++block, first_item += kLanes) {
    __m256 low[2] = {}, high[2] = {};  // two chains each: an addition takes four cycles
    for (std::size_t d = 0; d < width; ++d, blocks += kLanes) {
      const __m256 factor = _mm256_broadcast_ss(query + d);
      low[d % 2] = _mm256_fmadd_ps(factor, _mm256_loadu_ps(blocks), low[d % 2]);
      high[d % 2] = _mm256_fmadd_ps(factor, _mm256_loadu_ps(blocks + 8), high[d % 2]);
    }
    const __m256 first = _mm256_add_ps(low[0], low[1]), second = _mm256_add_ps(high[0], high[1]);
    const __m256 reach = _mm256_or_ps(_mm256_cmp_ps(first, least, _CMP_GE_OQ),
                                      _mm256_cmp_ps(second, least, _CMP_GE_OQ));
    if (_mm256_movemask_ps(reach) == 0) continue;
    _mm256_store_ps(sums, first);
    _mm256_store_ps(sums + 8, second);
    kept += keep_reaching(sums, first_item, bar, orders + kept, items + kept);
  }
  return kept;
}

__attribute__((target("avx512f"))) std::size_t score_blocks_avx512(const float* query, std::size_t width,
                                                                   const float* blocks, std::size_t count,
                                                                   std::uint32_t first_item, float bar,
                                                                   std::int32_t* orders,
                                                                   std::uint32_t* items) {
  std::size_t kept = 0;
  const __m512 least = _mm512_set1_ps(bar);
  alignas(64) float sums[kLanes];
  for (std::size_t block = 0; block < count; ++block, first_item += kLanes) {
    __m512 parts[4] = {};
    std::size_t d = 0;
    for (; d + 4 <= width; d += 4, blocks += 4 * kLanes) {
      for (std::size_t j = 0; j < 4; ++j) {
        parts[j] = _mm512_fmadd_ps(_mm512_set1_ps(query[d + j]), _mm512_loadu_ps(blocks + j * kLanes), parts[j]);
      }
    }
    for (; d < width; ++d, blocks += kLanes) {
      parts[0] = _mm512_fmadd_ps(_mm512_set1_ps(query[d]), _mm512_loadu_ps(blocks), parts[0]);
    }
    const __m512 score = _mm512_add_ps(_mm512_add_ps(parts[0], parts[1]), _mm512_add_ps(parts[2], parts[3]));
    if (_mm512_cmp_ps_mask(score, least, _CMP_GE_OQ) == 0) continue;
    _mm512_store_ps(sums, score);
    kept += keep_reaching(sums, first_item, bar, orders + kept, items + kept);
  }
  return kept;
}
#endif

ScoreBlocks best_score_blocks() {
#if LIGHTREC_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return score_blocks_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return score_blocks_avx2;
#endif
  return score_blocks_portable;
}

}  // namespace

FloatScan::FloatScan(const float* vectors, std::size_t num_items, std::size_t width)
    : num_items_(num_items), width_(width), blocks_((num_items + kLanes - 1) / kLanes * kLanes * width) {
  for (std::size_t row = 0; row < num_items; ++row) {
    float* target = blocks_.data() + row / kLanes * kLanes * width + row % kLanes;
    double sum = 0.0;
    for (std::size_t d = 0; d < width; ++d) {
      target[d * kLanes] = vectors[row * width + d];
      sum += std::fabs(vectors[row * width + d]);
    }
    largest_row_ = std::max(largest_row_, sum);
  }
}

Ranking FloatScan::top_k(const float* query, std::size_t k) const {
  thread_local KBest best;
  static const ScoreBlocks score_blocks = best_score_blocks();
  if (num_items_ == 0) return {};
  best.start(std::min(k, num_items_), -std::numeric_limits<float>::infinity(), nullptr);
  const std::size_t num_blocks = (num_items_ + kLanes - 1) / kLanes;
  for (std::size_t begin = 0; begin < num_blocks;) {
    const std::size_t at_once = begin < kFirstBlocks ? kFirstBlocks : kBlocksAtOnce;
    const std::size_t count = std::min(at_once, num_blocks - begin);
    const KBest::Room room = best.room(count * kLanes);
    best.keep(score_blocks(query, width_, blocks_.data() + begin * kLanes * width_, count,
                           static_cast<std::uint32_t>(begin * kLanes), best.bar(), room.orders, room.items));
    begin += count;
    if (begin == num_blocks) best.filter([&](std::uint32_t row) { return row < num_items_; });
    if (best.crowded()) best.raise();
  }
  return best.finish();
}

}  // namespace lightrec
