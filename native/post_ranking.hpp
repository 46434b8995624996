// Post-ranking: candidates put in order by float vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ranking.hpp"
#include "scan.hpp"

namespace lightrec {

// A matrix of item vectors, row-major; it may lie in a mapped file.
struct ItemVectors {
  enum class Type { kFloat32, kFloat16, kInt8 };

  const void* values;
  std::size_t num_rows, width;
  Type type;
  const float* scales = nullptr;  // of kInt8: what a row's integers are to be multiplied by

  std::size_t bytes_per_row() const {
    return width * (type == Type::kFloat32 ? sizeof(float) : type == Type::kFloat16 ? 2U : 1U);
  }

  const char* row(std::int64_t index) const {
    return static_cast<const char*>(values) + static_cast<std::size_t>(index) * bytes_per_row();
  }
};

// The k best of some rows, each of which comes once, by their inner products with the query; float16 and int8 are widened first, and a
// row's scale multiplies the product. Sixteen partial sums take turns over the dimensions and are then halved:
// the same bits for every instruction set, and whatever the other candidates.
Ranking post_rank(const float* query, const ItemVectors& vectors, const std::int64_t* rows, std::size_t count,
                  std::size_t k);

// Candidates of some queries: (num_queries, width) row numbers, of which the first counts[q] are meant.
struct Recalled {
  const std::int64_t* rows;
  const std::int64_t* counts;
  std::size_t width;
};

// The same for many queries; a row that comes twice for a query counts once. What fails names the query: of
// several the first.
void post_rank_batch(const float* queries, const ItemVectors& vectors, const Recalled& recalled,
                     std::size_t num_queries, std::size_t k, std::size_t threads, const BatchResult& result);

// Rows, each of them once, in the order in which they come first. Refuses what is no row of so many.
std::vector<std::int64_t> distinct(const std::int64_t* rows, std::size_t count, std::size_t num_rows);

}  // namespace lightrec
