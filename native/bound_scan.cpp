// Why a scan by bounds loses nothing.
//
// Deficits are measured for a bar, and those of an item that reaches it add up to at most a limit
// (deficits.hpp): what the filter leaves out scores less than the bar. Within a pass the bar only rises, to
// scores that k items are known to reach which may be returned. So what was left out under an older bar is
// left out rightly, and limit and deficits may be made anew between any two filterings. Cells that passed
// under older deficits are given a limit anew when they become runs; runs are all filtered before any of their
// items is scored, and only scoring raises the bar, so none meets other deficits than its limit was made for
// (cell_walk.cpp). What passes is scored exactly: a looser limit costs time only. The bar that a pass starts
// with is a guess: where fewer than k items reach it, the pass is made once more without. Tiles are found, filtered and
// scored in this order too, all of them before the next are looked for (tile_walk.cpp).
#include "bound_scan.hpp"

#include <algorithm>
#include <numeric>
#include <random>

#include "cell_walk.hpp"
#include "errors.hpp"
#include "flat_walk.hpp"
#include "prefetch.hpp"
#include "score_table.hpp"
#include "starting_bar.hpp"
#include "tile_walk.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kSample = 4096;
constexpr std::size_t kFewOfSample = 128;
constexpr std::size_t kItemsPerCell = 128;
constexpr std::size_t kItemsInShortRun = 200;  // on average
constexpr std::size_t kRowsAtOnce = 1024;      // of a list, between two looks at the bar
constexpr std::ptrdiff_t kRowsAhead = 16;      // of a list: they lie anywhere

// One of the four bytes of an item: the code of a codebook, or those of two codebooks of sixteen codewords.
std::uint8_t byte_of(const std::uint8_t* code, std::size_t num_codebooks, std::size_t place) {
  if (num_codebooks == kFourBooks) return code[place];
  return static_cast<std::uint8_t>(code[2 * place] | code[2 * place + 1] << 4);
}

// In any order, so that the first few are as good a sample as any.
std::vector<std::uint32_t> rows_of_sample(std::size_t num_items) {
  const std::vector<std::size_t> ascending = sample_rows(num_items, kSample);
  std::vector<std::uint32_t> rows(ascending.begin(), ascending.end());
  std::shuffle(rows.begin(), rows.end(), std::mt19937_64(20190519));  // any fixed seed
  return rows;
}

// Short runs are worth while where they hold enough items to fill the registers.
RunFilter BoundFilter::* kind_of_runs(const BoundFilter& filter, std::size_t num_items) {
  const bool enough = num_items * filter.short_runs.words_in_run >= 65536 * kItemsInShortRun;
  return enough ? &BoundFilter::short_runs : &BoundFilter::long_runs;
}

unsigned shift_for(std::size_t num_items, std::size_t words_in_run) {
  unsigned shift = 0;
  while ((std::size_t{1} << shift) < words_in_run && (num_items << shift) < 65536 * kItemsPerCell) ++shift;
  return shift;
}

// The score of an item by its codes, as every scan adds it up.
float score_of(const PaddedTable& table, const std::uint8_t* code, std::size_t num_codebooks) {
  const float* entries = table.entries();
  if (num_codebooks == kFourBooks) {
    return ((entries[code[0]] + entries[kMaxCodewords + code[1]]) + entries[2 * kMaxCodewords + code[2]]) +
           entries[3 * kMaxCodewords + code[3]];
  }
  float score = entries[code[0]];
  for (std::size_t b = 1; b < num_codebooks; ++b) score += entries[b * kMaxCodewords + code[b]];
  return score;
}

// Whether so few rows are better scored one by one. Otherwise the scan sees about num_items / count times k
// items that it may not return; one of these costs as much as several of the list, which are fetched ahead.
bool are_few(std::size_t count, std::size_t k, std::size_t num_items) {
  constexpr double kListedAsOne = 8;  // measured, of a hundred thousand and of a million items
  const auto listed = static_cast<double>(count);
  return count <= k || listed * listed <= kListedAsOne * static_cast<double>(k) * static_cast<double>(num_items);
}

}  // namespace

BoundScan::BoundScan(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
                     std::size_t num_codewords, const Labels& labels, InstructionSet set, Layout layout)
    : Scan(num_items, num_codebooks, num_codewords),
      codes_(codes),
      labels_(labels),
      filter_(bound_filter(set)),
      runs_(kind_of_runs(filter_, num_items)),
      sampled_(rows_of_sample(num_items)),
      sample_(sampled_.size(), kFourBooks, [&](std::size_t i, std::size_t place) {
        return labels[place][byte_of(codes + sampled_[i] * num_codebooks, num_codebooks, place)];
      }) {
  const auto label_of = [&](std::size_t row, std::size_t place) {
    return labels_[place][byte_of(codes_ + row * num_codebooks, num_codebooks, place)];
  };
  if (layout == Layout::kFlat) {
    blocks_.emplace(num_items, kFourBooks, label_of);
  } else if (layout == Layout::kTiles) {
    if (filter_.tiles.near == nullptr) throw ArgumentError("there is no filter of tiles for these instructions");
    tiles_.emplace(num_items, label_of);
  } else {
    cells_.emplace(num_items, shift_for(num_items, (filter_.*runs_).words_in_run), label_of);
  }
}

std::size_t BoundScan::memory() const {
  const std::size_t items = cells_ ? cells_->memory() : tiles_ ? tiles_->memory() : blocks_->memory();
  return sample_.memory() + 4 * sampled_.size() + items;
}

Ranking BoundScan::top_k(const float* table, std::size_t k, const RowFilter& filter, Order order) const {
  k = clamped(k);
  if (filter.allowed && are_few(filter.allowed->size(), k, num_items())) {
    return score_listed(table, k, *filter.allowed, filter, order);
  }
  if (filter.mask.words != nullptr && are_few(filter.mask.count, k, num_items())) {
    const std::vector<std::int32_t> rows = filter.mask.rows(num_items());
    return score_listed(table, k, Rows{rows.data(), rows.data() + rows.size()}, filter, order);
  }
  if (ExcludedRows::are_few(filter.excluded)) prefetch_codes(filter.excluded);
  const LabelledTable labelled(table, num_codebooks(), num_codewords(), labels_);
  const PermittedRows permitted(scratch().marked, scratch().allowed, num_items(), filter);
  const ExcludedRows excluded = with_scores(filter.excluded, table);
  BoundQuery query(labelled, filter_, scratch(), permitted, excluded);
  const float bar = starting_bar(query, k);
  scan(query, k, bar);
  const std::size_t expected = std::min(k, num_items() - filter.excluded.size());
  if (bar != kNoBar && query.best.size() < expected) scan(query, k, kNoBar);  // the sample promised too much
  Ranking found = query.best.finish(order);
  found.scored = query.scored;
  return found;
}

void BoundScan::prefetch_codes(Rows rows) const {
  for (const std::int32_t* row = rows.begin; row != rows.end; ++row) prefetch(codes_of(*row));
}

ExcludedRows BoundScan::with_scores(Rows excluded, const float* table) const {
  if (excluded.size() == 0 || !ExcludedRows::are_few(excluded)) return ExcludedRows(scratch().excluded);
  const PaddedTable padded(table, num_codebooks(), num_codewords());
  return {scratch().excluded, excluded,
          [&](std::int32_t row) { return score_of(padded, codes_of(row), num_codebooks()); }};
}

// One pass.
void BoundScan::scan(BoundQuery& query, std::size_t k, float bar) const {
  query.start(k, bar, cells_ ? cells_->rows() : tiles_ ? tiles_->rows() : nullptr);
  if (cells_) {
    walk_cells(query, *cells_, runs_);
  } else if (tiles_) {
    walk_tiles(query, *tiles_);
  } else {
    walk_blocks(query, *blocks_);
  }
  query.best.drop_going();
}

// The score of the item of the right rank among a few of the sample that a list or a mask permits: tiles and cells find a
// better bar soon, as their best ones are read first. Excluded rows that reach the bar come on top of the k that are to
// reach it.
float BoundScan::starting_bar(BoundQuery& query, std::size_t k) const {
  std::int32_t orders[kFewOfSample];
  std::size_t seen = 0, count = 0;
  for (; seen < sampled_.size() && count < kFewOfSample; ++seen) {
    if (!query.permitted.contains(sampled_[seen])) continue;
    const std::uint8_t* code = sample_.item(seen);
    orders[count++] = order_of(query.table.paired() ? query.table.score<true>(code) : query.table.score<false>(code));
  }
  query.scored += count;
  if (count == 0) return kNoBar;
  if (blocks_) return bar_of_sample(query, k, orders, count, seen);
  // As many of all items are taken to be permitted as of these.
  const std::size_t rank = bar_rank(k + query.excluded.size(), count, num_items() * count / seen);
  return rank == 0 ? kNoBar : float_of(order_with(orders, count, rank, rank));
}

// The same of the whole sample: the `count` permitted of some give a low bar for the filter, and what passes is scored
// exactly.
float BoundScan::bar_of_sample(BoundQuery& query, std::size_t k, const std::int32_t* orders, std::size_t count,
                               std::size_t seen) const {
  const std::size_t size = sample_.num_items();
  const auto rank_for = [&](std::size_t wanted) {
    return bar_rank(wanted, size * count / seen, num_items() * count / seen);
  };
  const std::size_t most = rank_for(k + query.excluded.size());
  if (most == 0) return kNoBar;
  const std::size_t rank_of_some = std::min(count, 8 + 2 * most * seen / size);
  const float low = float_of(order_with(orders, count, rank_of_some, rank_of_some));
  query.start(size, low, sampled_.data());
  score_blocks(query, sample_, 0, sample_.num_blocks());
  for (std::size_t rank = rank_for(k);;) {
    if (query.best.size() < rank) return kNoBar;
    const std::int32_t bar = query.best.order_with_rank(rank);
    const std::size_t enough = rank_for(k + query.best.num_going(bar));
    if (enough <= rank) return float_of(bar);
    rank = enough;
  }
}

Ranking BoundScan::score_listed(const float* table, std::size_t k, Rows rows, const RowFilter& filter,
                                Order order) const {
  KBest& best = scratch().best;
  best.start(k, kNoBar, nullptr);
  const PaddedTable padded(table, num_codebooks(), num_codewords());
  RowCursor excluded(filter.excluded), allowed(filter.allowed.value_or(rows));
  const bool all = filter.excluded.size() == 0 && !(filter.allowed && filter.mask.words != nullptr);
  for (const std::int32_t* next = rows.begin; next != rows.end;) {
    const std::size_t at_once = std::min(kRowsAtOnce, static_cast<std::size_t>(rows.end - next));
    const KBest::Room room = best.room(at_once);
    const float bar = best.bar();
    std::size_t count = 0;
    for (const std::int32_t* past = next + at_once; next != past; ++next) {
      const auto row = static_cast<std::size_t>(*next);
      if (rows.end - next > kRowsAhead) {
        prefetch(codes_of(next[kRowsAhead]));
      }
      const float score = score_of(padded, codes_of(*next), num_codebooks());
      room.orders[count] = order_of(score);
      room.items[count] = static_cast<std::uint32_t>(row);
      const bool wanted = all || (!excluded.contains(row) && allowed.contains(row) && filter.mask.contains(row));
      count += static_cast<std::size_t>(static_cast<int>(wanted) & static_cast<int>(score >= bar));
    }
    best.keep(count);
    if (best.crowded()) best.raise();
  }
  Ranking found = best.finish(order);
  found.scored = rows.size();
  return found;
}

Ranking BoundScan::probe(const float* table, std::size_t k, std::size_t nprobe, const RowFilter& filter) const {
  k = clamped(k);
  const std::size_t count = std::min(nprobe, num_codewords());
  std::vector<std::uint16_t> words(num_codewords());
  std::iota(words.begin(), words.end(), std::uint16_t{0});
  std::partial_sort(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count), words.end(),
                    [&](std::uint16_t a, std::uint16_t b) {
                      return table[a] > table[b] || (table[a] == table[b] && a < b);
                    });
  std::uint8_t labels[Deficits::kWords];
  for (std::size_t i = 0; i < count; ++i) labels[i] = labels_[0][words[i]];

  const LabelledTable labelled(table, num_codebooks(), num_codewords(), labels_);
  const PermittedRows permitted(scratch().marked, scratch().allowed, num_items(), filter);
  const ExcludedRows excluded = with_scores(filter.excluded, table);
  BoundQuery query(labelled, filter_, scratch(), permitted, excluded);
  query.start(k, kNoBar, cells_->rows());
  walk_cells_of(query, *cells_, runs_, labels, count);
  query.best.drop_going();
  Ranking found = query.best.finish(Order::kBestFirst);
  found.scored = query.scored;
  return found;
}

}  // namespace lightrec
