#include "scan.hpp"

#include <algorithm>
#include <limits>

#include "parallel.hpp"

namespace lightrec {

void BatchResult::store(std::size_t query, const Ranking& best) const {
  counts[query] = static_cast<std::int64_t>(best.size());
  std::int64_t* row = rows + query * width;
  float* score = scores + query * width;
  std::fill(std::copy(best.rows.begin(), best.rows.end(), row), row + width, -1);
  std::fill(std::copy(best.scores.begin(), best.scores.end(), score), score + width,
            -std::numeric_limits<float>::infinity());
}

void Scan::top_k_batch(const float* tables, std::size_t num_queries, std::size_t k,
                       const std::vector<RowFilter>& filters, std::size_t threads,
                       const BatchResult& result) const {
  const std::size_t of_one = std::min<std::size_t>(10 + num_items() / 10'000, 100);  // microseconds, about
  parallel_for(num_queries, worthwhile(threads, num_queries * of_one), [&](std::size_t query) {
    result.store(query, top_k(tables + query * table_size(), k, filters[query], Order::kBestFirst));
  });
}

std::size_t Scan::clamped(std::size_t k) const { return std::max<std::size_t>(std::min(k, num_items_), 1); }

}  // namespace lightrec
