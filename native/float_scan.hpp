// Brute force over float vectors in one pass: what a search by codes has to beat.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "large_pages.hpp"
#include "ranking.hpp"

namespace lightrec {

// Item vectors, their own copy: blocks of 16 items, the 16 numbers of a dimension side by side.
class FloatScan {
 public:
  // vectors: (num_items, width), row-major, finite.
  FloatScan(const float* vectors, std::size_t num_items, std::size_t width);

  // The k best rows by inner product. Sums run in whatever order is fast, so their last bits may differ
  // from those of another routine.
  Ranking top_k(const float* query, std::size_t k) const;

  // Whether the scores of a query with numbers of this magnitude are finite.
  bool can_score(float largest) const { return largest * largest_row_ <= std::numeric_limits<float>::max() / 2; }

  std::size_t num_items() const { return num_items_; }
  std::size_t width() const { return width_; }

 private:
  std::size_t num_items_, width_;
  double largest_row_ = 0.0;  // the largest sum of a row's magnitudes
  LargeArray<float> blocks_;
};

}  // namespace lightrec
