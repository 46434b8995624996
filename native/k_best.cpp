#include "k_best.hpp"

#include <algorithm>
#include <cstring>

#include "instruction_sets.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kTooManyTies = 512;  // equal scores at the bar that are carried along
constexpr std::size_t kMostKept = std::size_t{1} << 20;  // items whose memory waits for the next query

LIGHTREC_MULTIVERSIONED
std::size_t count_from(const std::int32_t* orders, std::size_t size, std::int32_t least) {
  std::int32_t count = 0;
  for (std::size_t i = 0; i < size; ++i) count += static_cast<std::int32_t>(orders[i] >= least);
  return static_cast<std::size_t>(count);
}

struct Bounds {
  std::int32_t low, high;
};

LIGHTREC_MULTIVERSIONED
Bounds bounds_of(const std::int32_t* orders, std::size_t size) {
  Bounds found{orders[0], orders[0]};
  for (std::size_t i = 0; i < size; ++i) {
    found.low = orders[i] < found.low ? orders[i] : found.low;
    found.high = orders[i] > found.high ? orders[i] : found.high;
  }
  return found;
}

}  // namespace

float score_of_order(std::int32_t order) {
  const std::int32_t bits = order ^ ((order >> 31) & 0x7FFFFFFF);
  float score;
  std::memcpy(&score, &bits, sizeof score);
  return score;
}

std::int32_t order_with(const std::int32_t* orders, std::size_t size, std::size_t k, std::size_t most) {
  const Bounds bounds = bounds_of(orders, size);
  if (count_from(orders, size, bounds.high) >= k) return bounds.high;
  std::int64_t low = bounds.low, high = bounds.high;  // at least k reach low, fewer than k reach high
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    const std::size_t count = count_from(orders, size, static_cast<std::int32_t>(middle));
    if (count < k) {
      high = middle;
    } else {
      low = middle;
      if (count <= most) break;
    }
  }
  return static_cast<std::int32_t>(low);
}

std::int32_t KBest::order_with_rank(std::size_t rank) const {
  return order_with(orders_.data(), size_, rank, rank);
}

void KBest::start(std::size_t k, float bar, const std::uint32_t* row_of) {
  k_ = k;
  bar_ = bar;
  row_of_ = row_of;
  size_ = 0;
}

KBest::Room KBest::room(std::size_t count) {
  if (size_ + count > orders_.size()) {
    orders_.resize(2 * (size_ + count));
    items_.resize(2 * (size_ + count));
  }
  return {orders_.data() + size_, items_.data() + size_};
}

bool KBest::raise() {
  const std::int32_t order = order_with(orders_.data(), size_, k_, k_ + k_ / 8);
  drop_below(order);
  if (size_ > k_ + k_ / 8 + kTooManyTies) drop_ties(order);
  const float reached = score_of_order(order);
  const bool rose = reached > bar_;
  bar_ = std::max(bar_, reached);
  return rose;
}

void KBest::drop_below(std::int32_t order) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    const std::int32_t mine = orders_[i];
    const std::uint32_t item = items_[i];
    orders_[kept] = mine;
    items_[kept] = item;
    kept += mine >= order ? 1U : 0U;
  }
  size_ = kept;
}

// Of the items that score exactly `order`, which more than k reach, keeps those of the lowest rows.
void KBest::drop_ties(std::int32_t order) {
  std::vector<std::uint64_t> tied;  // row and place
  std::size_t kept = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    if (orders_[i] == order) {
      tied.push_back(std::uint64_t{row(i)} << 32 | items_[i]);
    } else {
      orders_[kept] = orders_[i];
      items_[kept++] = items_[i];
    }
  }
  const std::size_t room_left = std::min(k_ - std::min(k_, kept), tied.size());
  if (room_left < tied.size()) {
    std::nth_element(tied.begin(), tied.begin() + static_cast<std::ptrdiff_t>(room_left), tied.end());
  }
  for (std::size_t i = 0; i < room_left; ++i) {
    orders_[kept] = order;
    items_[kept++] = static_cast<std::uint32_t>(tied[i]);
  }
  size_ = kept;
}

// Keys in ascending order. They hold how far a score lies below the best one, then the row; the upper halves
// are sorted byte by byte, and rows only where they are equal: a sort by comparisons has branches that
// nobody can predict.
void KBest::sort_keys() {
  constexpr std::size_t kFewest = 64, kDigits = 4, kValues = 256;
  const std::size_t size = keys_.size();
  if (size < kFewest) {
    std::sort(keys_.begin(), keys_.end());
    return;
  }
  std::uint32_t starts[kDigits][kValues] = {};
  std::uint32_t used = 0;  // bits that are set in any upper half
  for (const std::uint64_t key : keys_) {
    const auto upper = static_cast<std::uint32_t>(key >> 32);
    used |= upper;
    for (std::size_t digit = 0; digit < kDigits; ++digit) ++starts[digit][upper >> (8 * digit) & 255U];
  }
  sorted_.resize(size);
  for (std::size_t digit = 0; digit < kDigits && used >> (8 * digit) != 0; ++digit) {
    std::uint32_t before = 0;
    for (std::uint32_t& start : starts[digit]) {
      const std::uint32_t count = start;
      start = before;
      before += count;
    }
    for (const std::uint64_t key : keys_) sorted_[starts[digit][key >> (32 + 8 * digit) & 255U]++] = key;
    keys_.swap(sorted_);
  }
  for (std::size_t begin = 0; begin < size;) {
    std::size_t end = begin + 1;
    while (end < size && keys_[end] >> 32 == keys_[begin] >> 32) ++end;
    if (end - begin > 1) {
      std::sort(keys_.begin() + static_cast<std::ptrdiff_t>(begin),
                keys_.begin() + static_cast<std::ptrdiff_t>(end));
    }
    begin = end;
  }
}

Ranking KBest::in_any_order() {
  if (size_ > k_) {
    const std::int32_t order = order_with(orders_.data(), size_, k_, k_);
    drop_below(order);
    if (size_ > k_) drop_ties(order);
  }
  Ranking best;
  best.rows.resize(size_);
  best.scores.resize(size_);
  for (std::size_t i = 0; i < size_; ++i) {
    best.rows[i] = row(i);
    best.scores[i] = score_of_order(orders_[i]);
  }
  return best;
}

Ranking KBest::best_first() {
  if (size_ > k_) {
    const std::int32_t order = order_with(orders_.data(), size_, k_, k_ + k_ / 4);
    drop_below(order);
    if (size_ > k_ + k_ / 4 + kTooManyTies) drop_ties(order);
  }
  if (size_ == 0) return {};
  const std::int32_t highest = bounds_of(orders_.data(), size_).high;
  const auto top = static_cast<std::uint32_t>(highest);
  keys_.resize(size_);
  for (std::size_t i = 0; i < size_; ++i) {
    keys_[i] = std::uint64_t{top - static_cast<std::uint32_t>(orders_[i])} << 32 | row(i);
  }
  sort_keys();
  const std::size_t found = std::min(k_, size_);
  Ranking best;
  best.rows.resize(found);
  best.scores.resize(found);
  for (std::size_t i = 0; i < found; ++i) {
    best.rows[i] = static_cast<std::uint32_t>(keys_[i]);
    best.scores[i] = score_of_order(static_cast<std::int32_t>(top - static_cast<std::uint32_t>(keys_[i] >> 32)));
  }
  return best;
}

Ranking KBest::finish(Order wanted) {
  Ranking best = wanted == Order::kAny ? in_any_order() : best_first();
  if (orders_.size() > kMostKept) {
    std::vector<std::int32_t>().swap(orders_);
    std::vector<std::uint32_t>().swap(items_);
    std::vector<std::uint64_t>().swap(keys_);
    std::vector<std::uint64_t>().swap(sorted_);
    size_ = 0;
  }
  return best;
}

}  // namespace lightrec
