// The k best of scored items: score descending, row ascending. Shared by every scan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "float_order.hpp"
#include "large_pages.hpp"
#include "ranking.hpp"

namespace lightrec {

inline constexpr float kNoBar = -std::numeric_limits<float>::infinity();

// Rows and their scores, as integers of the same order; borrowed, not owned.
struct ScoredRows {
  const std::int32_t* orders = nullptr;
  const std::uint32_t* rows = nullptr;
  std::size_t size = 0;
};

// Scores are kept as integers of the same order, so that the k-th best is found by bisection: counting is
// the cheapest thing that a processor does with an array. Items are rows, or places that `row_of` maps to
// rows when ties or the final order ask for them. -0.0 counts, and comes back, as 0.0. Scores must be finite.
//
// Items come in any order, in portions (`room`, `keep`, `filter`, `raise`) or, where few reach the bar, one by one
// (`push`).
class KBest {
 public:
  static constexpr std::size_t kMostKept = std::size_t{1} << 20;  // items whose memory waits for the next query

  // k >= 1. Items that score below `bar` are not wanted. row_of: the row of each place, or null. going: rows that are
  // kept like others and dropped before the end: so many more are kept.
  void start(std::size_t k, float bar, const std::uint32_t* row_of = nullptr, ScoredRows going = {});

  // Items that score below it are not among the k best. Where rows ascend, nor are those that come later and
  // score no more than a bar which rose: k are there that go before them.
  float bar() const { return bar_; }
  std::size_t size() const { return size_; }
  std::size_t wanted() const { return k_; }

  // How many of those that are going reach a bar.
  std::size_t num_going(std::int32_t bar) const;

  // Makes room for `count` more and returns where they go; `keep` tells how many were written.
  struct Room {
    std::int32_t* orders;
    std::uint32_t* items;
  };
  Room room(std::size_t count);
  void keep(std::size_t count) { size_ += count; }

  // One item, whose score reaches the bar; raises the bar now and then.
  void push(float score, std::size_t item) {
    if (size_ == orders_.size()) room(kRoomAhead);
    orders_[size_] = order_of(score);
    items_[size_++] = static_cast<std::uint32_t>(item);
    if (crowded()) raise();
  }

  // Removes the items for which the predicate fails, of those that came since this was done last.
  template <typename Predicate>
  void filter(Predicate wanted) {
    std::size_t kept = settled_;
    for (std::size_t i = settled_; i < size_; ++i) {
      orders_[kept] = orders_[i];
      items_[kept] = items_[i];
      kept += wanted(row(i)) ? 1U : 0U;
    }
    size_ = settled_ = kept;
  }

  // Removes the rows that are going; before the k best are asked for.
  void drop_going();

  // Whether there are so many that it pays to raise the bar.
  bool crowded() const { return size_ > k_ + k_ / 4 + 32 + num_going_; }

  // Drops what is not among the k best so far, or little more, and raises the bar. There must be more than k beside
  // those that are going. Returns whether the bar rose.
  bool raise();

  // The order of the item of this rank, from 1; size() >= rank.
  std::int32_t order_with_rank(std::size_t rank) const;

  // The k best (fewer where fewer came). Gives back the memory of an unusually large k.
  Ranking finish(Order order = Order::kBestFirst);

 private:
  static constexpr std::size_t kRoomAhead = 64;  // made by one push for more of them

  std::uint32_t row(std::size_t i) const { return row_of_ == nullptr ? items_[i] : row_of_[items_[i]]; }
  void drop_below(std::int32_t order);
  void drop_ties(std::int32_t order, std::size_t rank);
  void sort_keys();
  Ranking in_any_order();
  Ranking best_first();

  std::size_t k_ = 1, size_ = 0;
  std::size_t settled_ = 0;  // the items before this one need no filter any more
  float bar_ = kNoBar;
  const std::uint32_t* row_of_ = nullptr;
  std::size_t num_going_ = 0;  // of those that are going, those that reach the bar: the first of
  LargeArray<std::int32_t> going_orders_;
  LargeArray<std::uint32_t> going_rows_;
  LargeArray<std::int32_t> orders_;
  LargeArray<std::uint32_t> items_;
  std::vector<std::uint64_t> keys_, sorted_;
};

// An order with at least `k` and, ties aside, at most `most` of the orders at or above it.
std::int32_t order_with(const std::int32_t* orders, std::size_t size, std::size_t k, std::size_t most);

}  // namespace lightrec
