// Post-ranking: candidates put in order by float vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ranking.hpp"

namespace lightrec {

// A matrix of item vectors, row-major; it may lie in a mapped file.
struct ItemVectors {
  enum class Type { kFloat32, kFloat16 };

  const void* values;
  std::size_t width;
  Type type;
};

// The k best of some rows by their inner products with the query, float16 widened first. Sixteen partial
// sums take turns over the dimensions and are then halved: the same bits for every instruction set, and
// whatever the other candidates.
Ranking post_rank(const float* query, const ItemVectors& vectors, const std::int64_t* rows, std::size_t count,
                  std::size_t k);

}  // namespace lightrec
