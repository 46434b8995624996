#include "cosine_scan.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "instruction_sets.hpp"
#include "k_best.hpp"
#include "permitted_rows.hpp"
#include "prefetch.hpp"
#include "scores.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kAtOnce = 1024;      // items, between two looks at the bar
constexpr std::ptrdiff_t kRowsAhead = 16;  // of a list: they lie anywhere

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
  RowBits excluded, allowed;
  std::vector<std::uint8_t> codes;
  float scores[kAtOnce], lengths[kAtOnce];
};

// One query, on its way through the catalogue.
class CosineScan {
 public:
  CosineScan(const MeasuredItems& items, const float* table, std::size_t num_codewords, const RowFilter& filter,
             Scratch& scratch)
      : items_(items),
        table_(table),
        num_codewords_(num_codewords),
        permitted_(scratch.excluded, scratch.allowed, items.num_items, filter),
        scratch_(scratch) {}

  void scan_all() {
    for (std::size_t first = 0; first < items_.num_items; first += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, items_.num_items - first);
      offer(items_.codes + first * items_.num_codebooks, items_.lengths + first, count,
            [&](std::size_t i) { return first + i; });
    }
  }

  void scan_listed(Rows rows) {
    for (const std::int32_t* next = rows.begin; next != rows.end;) {
      const std::size_t count = std::min(kAtOnce, static_cast<std::size_t>(rows.end - next));
      gather(next, rows.end, count);
      offer(scratch_.codes.data(), scratch_.lengths, count,
            [&](std::size_t i) { return static_cast<std::size_t>(next[i]); });
      next += count;
    }
  }

 private:
  void gather(const std::int32_t* rows, const std::int32_t* end, std::size_t count) {
    const std::size_t num_bytes = items_.num_codebooks;
    scratch_.codes.resize(kAtOnce * num_bytes);
    for (std::size_t i = 0; i < count; ++i) {
      if (end - rows > static_cast<std::ptrdiff_t>(i) + kRowsAhead) {
        const auto ahead = static_cast<std::size_t>(rows[static_cast<std::ptrdiff_t>(i) + kRowsAhead]);
        prefetch(items_.codes + ahead * num_bytes);
        prefetch(items_.lengths + ahead);
      }
      const auto row = static_cast<std::size_t>(rows[i]);
      std::copy_n(items_.codes + row * num_bytes, num_bytes, scratch_.codes.data() + i * num_bytes);
      scratch_.lengths[i] = items_.lengths[row];
    }
  }

  template <typename RowOf>
  void offer(const std::uint8_t* codes, const float* lengths, std::size_t count, RowOf row_of) {
    KBest& best = scratch_.best;
    float* cosines = scratch_.scores;
    score_items(codes, count, items_.num_codebooks, table_, 1, num_codewords_, 1, cosines);
    divide(lengths, count, cosines);
    const KBest::Room room = best.room(count);
    const float bar = best.bar();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (cosines[i] < bar) continue;  // nearly every item, once there is a bar
      const std::size_t row = row_of(i);
      if (!permitted_.contains(row)) continue;
      room.orders[kept] = KBest::order_of(cosines[i]);
      room.items[kept++] = static_cast<std::uint32_t>(row);
    }
    best.keep(kept);
    if (best.crowded()) best.raise();
  }

  const MeasuredItems& items_;
  const float* table_;
  std::size_t num_codewords_;
  PermittedRows permitted_;
  Scratch& scratch_;
};

}  // namespace

Ranking cosine_top_k(const MeasuredItems& items, const float* table, std::size_t num_codewords, std::size_t k,
                     const RowFilter& filter) {
  thread_local Scratch mine;
  mine.best.start(std::max<std::size_t>(std::min(k, items.num_items), 1), -std::numeric_limits<float>::infinity(),
                  nullptr);
  CosineScan scan(items, table, num_codewords, filter, mine);
  if (filter.allowed) {
    scan.scan_listed(*filter.allowed);
  } else {
    scan.scan_all();
  }
  return mine.best.finish();
}

}  // namespace lightrec
