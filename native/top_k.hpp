// The k best of a stream of scored rows: score descending, row ascending. Shared by every scan.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "float_order.hpp"

namespace lightrec {

// Candidates are kept as one integer each, so that one comparison orders score and row. -0.0 counts (and
// comes back) as 0.0. Scores must be finite and rows must arrive in ascending order: then a row that only
// equals the k-th best score so far has lost already, and `bar` may exclude it.
class TopK {
 public:
  // 1 <= k <= most, or k = 1: no more than `most` rows will come. Rows that do not score above `bar` are known not
  // to be wanted.
  TopK(std::size_t k, std::size_t most, float bar = -std::numeric_limits<float>::infinity())
      : k_(k), capacity_(std::max(k, std::min(std::max(2 * k, k + 256), most))), bar_(bar) {
    keys_.reserve(capacity_);
  }

  // Only rows that score above it can still be among the k best.
  float bar() const { return bar_; }

  // To be called with scores above bar() only.
  void push(float score, std::size_t row) {
    keys_.push_back(key(score, row));
    if (keys_.size() == capacity_) shrink();
  }

  // Orders the k best (fewer where fewer were pushed), best first, and returns their number.
  std::size_t finish() {
    if (keys_.size() > k_) shrink();
    std::sort(keys_.begin(), keys_.end(), std::greater<>());
    return keys_.size();
  }

  std::size_t size() const { return keys_.size(); }

  // After finish(): the row and the score at a rank.
  std::int64_t row(std::size_t rank) const { return static_cast<std::uint32_t>(~keys_[rank]); }
  float score(std::size_t rank) const { return score_of(keys_[rank]); }

 private:
  static std::uint64_t key(float score, std::size_t row) {
    return static_cast<std::uint64_t>(order_of(score)) << 32 | static_cast<std::uint32_t>(~row);
  }

  static float score_of(std::uint64_t key) { return float_of(static_cast<std::uint32_t>(key >> 32)); }

  void shrink() {
    const auto last = keys_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
    std::nth_element(keys_.begin(), last, keys_.end(), std::greater<>());
    keys_.resize(k_);
    bar_ = std::max(bar_, score_of(keys_.back()));
  }

  std::size_t k_, capacity_;
  float bar_;
  std::vector<std::uint64_t> keys_;
};

}  // namespace lightrec
