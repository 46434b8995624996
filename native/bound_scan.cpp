#include "bound_scan.hpp"

#include <algorithm>
#include <limits>

#include "bound_query.hpp"
#include "prefetch.hpp"
#include "score_table.hpp"
#include "starting_bar.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kBlocksAtOnce = 512;  // between two looks at the bar
constexpr std::size_t kFirstBlocks = 16;    // to begin with, and while there is no bar and every item passes
constexpr std::size_t kBlocksSample = 4096;
constexpr std::size_t kCellsSample = 1024;
constexpr std::size_t kFewOfSample = 128;
constexpr std::size_t kItemsPerCell = 128;
constexpr std::size_t kItemsInShortRun = 200;  // on average
constexpr std::size_t kRowsAtOnce = 1024;  // of a list, between two looks at the bar
constexpr std::ptrdiff_t kRowsAhead = 16;  // of a list: they lie anywhere
constexpr int kCoarse = 200;  // a bar that leaves fewer steps than this is worth new deficits

// The score of an item of packed codes.
template <bool kPaired>
LIGHTREC_INLINE float score_of(const LabelledTable& table, const std::uint8_t* code) {
  return table.score<kPaired>(code[0], code[kBlock], code[2 * kBlock], code[3 * kBlock]);
}

// One of the four bytes of an item: the code of a codebook, or those of two codebooks of sixteen codewords.
std::uint8_t byte_of(const std::uint8_t* code, std::size_t num_codebooks, std::size_t place) {
  if (num_codebooks == kFourBooks) return code[place];
  return static_cast<std::uint8_t>(code[2 * place] | code[2 * place + 1] << 4);
}

// Cells find a good bar of themselves, the best ones being read first; blocks depend on the sample.
std::vector<std::uint32_t> rows_of_sample(std::size_t num_items, Layout layout) {
  const std::size_t most = layout == Layout::kCells ? kCellsSample : kBlocksSample;
  const std::vector<std::size_t> rows = sample_rows(num_items, most);
  return {rows.begin(), rows.end()};
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

// Whether so few rows are better scored one by one. Otherwise the scan sees about num_items / count times k
// items that it may not return; one of these costs as much as several of the list, which are fetched ahead.
bool are_few(std::size_t count, std::size_t k, std::size_t num_items) {
  constexpr std::size_t kListedAsOne = 8;  // measured, of a hundred thousand and of a million items
  return count <= k || count <= kListedAsOne * k * num_items / count;
}

}  // namespace

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

BoundScan::BoundScan(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
                     std::size_t num_codewords, const Labels& labels, InstructionSet set, Layout layout)
    : Scan(num_items, num_codebooks, num_codewords),
      codes_(codes),
      labels_(labels),
      filter_(bound_filter(set)),
      runs_(kind_of_runs(filter_, num_items)),
      sampled_(rows_of_sample(num_items, layout)),
      sample_(sampled_.size(), kFourBooks, [&](std::size_t i, std::size_t place) {
        return labels[place][byte_of(codes + sampled_[i] * num_codebooks, num_codebooks, place)];
      }) {
  const auto label_of = [&](std::size_t row, std::size_t place) {
    return labels_[place][byte_of(codes_ + row * num_codebooks, num_codebooks, place)];
  };
  if (layout == Layout::kFlat) {
    blocks_.emplace(num_items, kFourBooks, label_of);
  } else {
    shift_ = shift_for(num_items, (filter_.*runs_).words_in_run);
    cells_.emplace(num_items, shift_, label_of);
  }
}

std::size_t BoundScan::memory() const {
  return sample_.memory() + 4 * sampled_.size() + (cells_ ? cells_->memory() : blocks_->memory());
}

Ranking BoundScan::top_k(const float* table, std::size_t k, const RowFilter& filter, Order order) const {
  k = clamped(k);
  Scratch& memory = scratch();
  KBest& best = memory.best;
  if (filter.allowed && are_few(filter.allowed->size(), k, num_items())) {
    return score_listed(table, k, *filter.allowed, filter, order);
  }
  if (filter.mask.words != nullptr && are_few(filter.mask.count, k, num_items())) {
    const std::vector<std::int32_t> rows = filter.mask.rows(num_items());
    return score_listed(table, k, Rows{rows.data(), rows.data() + rows.size()}, filter, order);
  }
  const LabelledTable labelled(table, num_codebooks(), num_codewords(), labels_);
  const PermittedRows permitted(memory.excluded, memory.allowed, num_items(), filter);
  Query query(labelled, filter_, memory, permitted);
  float bar = starting_bar(query, k);
  query.scored = 0;
  while (true) {
    best.start(k, bar, cells_ ? cells_->rows() : nullptr);
    query.deficits.quantise(bar);
    query.limit = Deficits::kLimit;
    if (cells_) {
      scan_cells(query, nullptr, 0);
    } else {
      scan_blocks(query);
    }
    query.settle_rest();
    if (bar == kNoBar || best.size() >= std::min(k, num_items() - filter.excluded.size())) {
      Ranking found = best.finish(order);
      found.scored = query.scored;
      return found;
    }
    bar = kNoBar;  // the sample promised too much
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
        prefetch(codes_ + static_cast<std::size_t>(next[kRowsAhead]) * num_codebooks());
      }
      const std::uint8_t* code = codes_ + row * num_codebooks();
      float score = padded.entries()[code[0]];
      for (std::size_t b = 1; b < num_codebooks(); ++b) score += padded.entries()[b * kMaxCodewords + code[b]];
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

// The score of the item of the right rank among those of the sample that may be returned. A few of them give
// a low bar for the filter, and what passes is scored exactly.
float BoundScan::starting_bar(Query& query, std::size_t k) const {
  const std::size_t size = sample_.num_items();
  if (size == 0) return kNoBar;
  const std::size_t few = std::min(kFewOfSample, size), stride = size / few;
  std::int32_t orders[kFewOfSample];
  std::size_t count = 0;
  for (std::size_t i = 0; i < few; ++i) {
    const std::uint8_t* code = sample_.item(i * stride);
    const float score =
        query.table.paired() ? score_of<true>(query.table, code) : score_of<false>(query.table, code);
    orders[count] = order_of(score);
    count += query.permitted.all() || query.permitted.contains(sampled_[i * stride]) ? 1U : 0U;
  }
  // As many of the sample, and of all items, as of the few are taken to be permitted.
  const std::size_t rank = bar_rank(k, size * count / few, num_items() * count / few);
  if (count == 0 || rank == 0) return kNoBar;
  const std::size_t rank_of_few = std::min(count, 8 + 2 * rank * few / size);
  const float low = float_of(order_with(orders, count, rank_of_few, rank_of_few));
  query.best.start(size, low, sampled_.data());
  query.deficits.quantise(low);
  score_blocks(query, sample_, 0, sample_.num_blocks());
  query.settle_rest();
  if (query.best.size() < rank) return kNoBar;
  return float_of(query.best.order_with_rank(rank));
}

void BoundScan::scan_blocks(Query& query) const {
  std::size_t at_once = kFirstBlocks;
  for (std::size_t begin = 0; begin < blocks_->num_blocks();) {
    if (query.best.bar() != kNoBar) at_once = std::min(2 * at_once, kBlocksAtOnce);
    const std::size_t end = std::min(blocks_->num_blocks(), begin + at_once);
    score_blocks(query, *blocks_, begin, end);
    begin = end;
  }
}

void BoundScan::score_blocks(Query& query, const PackedCodes& codes, std::size_t begin_block,
                             std::size_t end_block) const {
  std::vector<Hit>& hits = query.scratch.hits;
  if (hits.size() < end_block - begin_block + 1) hits.resize(end_block - begin_block + 1);
  const std::size_t before = query.scored;
  const std::size_t num_hits = query.choice.filter().blocks(query.deficits, query.limit, codes.block(0),
                                                            begin_block, end_block, hits.data());
  const std::size_t tail = codes.num_items() % kBlock;
  if (tail != 0 && num_hits > 0 && hits[num_hits - 1].first == codes.num_items() - tail) {
    hits[num_hits - 1].items &= (std::uint64_t{1} << tail) - 1;  // the padding of the last block
  }
  if (query.table.paired()) {
    query.score_hits(num_hits, [&](std::uint32_t place, std::uint32_t) {
      return score_of<true>(query.table, codes.item(place));
    });
  } else {
    query.score_hits(num_hits, [&](std::uint32_t place, std::uint32_t) {
      return score_of<false>(query.table, codes.item(place));
    });
  }
  query.choice.learn((end_block - begin_block) * kBlock, query.scored - before);
}

// Of the items kept no more than the excluded ones can go: where these are few, more are kept instead, and which
// ones they are is asked of the best only, once these are many. To ask costs the row of an item, from anywhere.
void BoundScan::Query::settle() {
  if (!permitted.all_but_few()) {
    drop_forbidden();
    if (best.crowded()) raise_bar(best.wanted());
    return;
  }
  const std::size_t rank = best.wanted() + permitted.num_excluded();
  if (!best.crowded(rank)) return;
  raise_bar(rank);
  if (permitted.all()) return;
  drop_forbidden();
  if (best.size() > best.wanted() + best.wanted() / 8) raise_bar(best.wanted());
}

void BoundScan::Query::settle_rest() {
  if (!permitted.all_but_few() || permitted.all()) return;
  const std::size_t rank = best.wanted() + permitted.num_excluded();
  if (best.size() > rank) best.raise(rank);
  drop_forbidden();
}

void BoundScan::Query::drop_forbidden() {
  if (permitted.all_but_few()) {
    const HashedRows& few = permitted.few_excluded();
    best.filter([&](std::uint32_t row) { return !few.contains(row); });
  } else {
    best.filter([&](std::uint32_t row) { return permitted.contains(row); });
  }
}

void BoundScan::Query::raise_bar(std::size_t rank) {
  if (!best.raise(rank)) return;
  const int tighter = deficits.limit(best.bar());
  if (tighter < kCoarse || deficits.step() > std::numeric_limits<float>::max()) {
    deficits.quantise(best.bar());
    limit = Deficits::kLimit;
  } else {
    limit = std::min(limit, tighter);
  }
}

}  // namespace lightrec
