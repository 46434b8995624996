#include "cosine_scan.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "instruction_sets.hpp"
#include "k_best.hpp"
#include "prefetch.hpp"
#include "scores.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kAtOnce = 1024;   // items, between two looks at the bar
constexpr std::size_t kRowsAhead = 16;  // of a list: they lie anywhere

LIGHTREC_MULTIVERSIONED
void divide(const float* lengths, std::size_t count, float* scores) {
  for (std::size_t i = 0; i < count; ++i) {
    const float length = lengths[i];
    const float cosine = scores[i] / (length > 0.0F ? length : 1.0F);
    const float cut = std::min(std::max(cosine, -1.0F), 1.0F);
    scores[i] = length > 0.0F ? cut : 0.0F;
  }
}

// Kept by a thread, so that queries do not allocate.
struct Scratch {
  KBest best;
  std::vector<std::uint8_t> codes;
  float cosines[kAtOnce], lengths[kAtOnce];
};

// Keeps those of some items with known cosines, rows ascending, that reach the bar and may be returned.
template <typename RowOf>
void offer(Scratch& scratch, RowCursor& excluded, RowMask mask, std::size_t count, RowOf row_of) {
  KBest& best = scratch.best;
  const KBest::Room room = best.room(count);
  const float bar = best.bar();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (scratch.cosines[i] < bar) continue;  // nearly every item, once there is a bar
    const std::size_t row = row_of(i);
    if (excluded.contains(row) || !mask.contains(row)) continue;
    room.orders[kept] = order_of(scratch.cosines[i]);
    room.items[kept++] = static_cast<std::uint32_t>(row);
  }
  best.keep(kept);
  if (best.crowded()) best.raise();
}

}  // namespace

Ranking CosineScan::top_k(const float* table, std::size_t k, const RowFilter& filter) const {
  thread_local Scratch mine;
  mine.best.start(std::max<std::size_t>(std::min(k, num_items_), 1), -std::numeric_limits<float>::infinity(),
                  nullptr);
  const auto score = [&](const std::uint8_t* codes, const float* lengths, std::size_t count) {
    score_items(codes, count, num_codebooks_, table, 1, num_codewords_, 1, mine.cosines);
    divide(lengths, count, mine.cosines);
  };
  RowCursor excluded(filter.excluded);
  if (!filter.allowed) {
    for (std::size_t first = 0; first < num_items_; first += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, num_items_ - first);
      score(codes_ + first * num_codebooks_, lengths_ + first, count);
      offer(mine, excluded, filter.mask, count, [&](std::size_t i) { return first + i; });
    }
    return mine.best.finish();
  }
  // Only rows of the list are looked at: the rest of the filter decides among them.
  mine.codes.resize(kAtOnce * num_codebooks_);
  const std::int32_t* rows = filter.allowed->begin;
  for (std::size_t left = filter.allowed->size(); left > 0;) {
    const std::size_t count = std::min(kAtOnce, left);
    for (std::size_t i = 0; i < count; ++i) {
      if (i + kRowsAhead < left) {
        const auto ahead = static_cast<std::size_t>(rows[i + kRowsAhead]);
        prefetch(codes_ + ahead * num_codebooks_);
        prefetch(lengths_ + ahead);
      }
      const auto row = static_cast<std::size_t>(rows[i]);
      std::copy_n(codes_ + row * num_codebooks_, num_codebooks_, mine.codes.data() + i * num_codebooks_);
      mine.lengths[i] = lengths_[row];
    }
    score(mine.codes.data(), mine.lengths, count);
    offer(mine, excluded, filter.mask, count, [&](std::size_t i) { return static_cast<std::size_t>(rows[i]); });
    rows += count;
    left -= count;
  }
  return mine.best.finish();
}

}  // namespace lightrec
