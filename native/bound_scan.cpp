#include "bound_scan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "instruction_sets.hpp"
#include "starting_bar.hpp"

namespace lightrec {
namespace {

constexpr float kNoBar = -std::numeric_limits<float>::infinity();
constexpr std::size_t kWords = Deficits::kWords;
constexpr std::size_t kBlocksAtOnce = 512;  // between two looks at the bar
constexpr std::size_t kFirstBlocks = 16;    // while there is no bar, and every item passes
constexpr std::size_t kFirstItems = 1024;   // of cells, before the bar is looked at again; then twice as many
constexpr std::size_t kMostItems = 65536;
constexpr std::size_t kMostRuns = 4096;
constexpr std::size_t kBlocksSample = 4096;
constexpr std::size_t kCellsSample = 1024;
constexpr std::size_t kFewOfSample = 128;
constexpr std::size_t kItemsPerCell = 128;
constexpr std::size_t kItemsInShortRun = 200;  // on average
constexpr std::size_t kPlacesAtOnce = 2048;
constexpr int kCoarse = 200;  // a bar that leaves fewer steps than this is worth new deficits

// (4, 256) entries by label; labels without a codeword get the least entry of their codebook.
class LabelledTable {
 public:
  LabelledTable(const float* table, std::size_t num_codewords, const Labels& labels) {
    for (std::size_t book = 0; book < kFourBooks; ++book) {
      const float* source = table + book * num_codewords;
      float* target = entries_ + book * kWords;
      if (num_codewords < kWords) {
        std::fill_n(target, kWords, *std::min_element(source, source + num_codewords));
      }
      const std::uint8_t* label = labels[book].data();
      for (std::size_t word = 0; word < num_codewords; ++word) target[label[word]] = source[word];
    }
  }

  const float* entries() const { return entries_; }

 private:
  alignas(64) float entries_[kFourBooks * kWords];
};

// What a query needs for a while; kept by its thread, so that queries do not allocate.
struct Scratch {
  std::vector<Hit> hits;
  std::vector<Run> runs;
  std::vector<std::uint32_t> places, words;
  std::vector<std::uint64_t> excluded;  // one bit a row, all clear between queries
  KBest best;
};

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

// Sets the bits of rows for as long as it lives.
class MarkedRows {
 public:
  MarkedRows(std::vector<std::uint64_t>& bits, std::size_t num_items, Rows rows) : bits_(bits), rows_(rows) {
    if (rows_.size() == 0) return;
    if (bits_.size() * 64 < num_items) bits_.resize((num_items + 63) / 64);
    for (const std::int32_t* row = rows_.begin; row != rows_.end; ++row) word(*row) |= bit(*row);
  }
  ~MarkedRows() {
    for (const std::int32_t* row = rows_.begin; row != rows_.end; ++row) word(*row) &= ~bit(*row);
  }
  MarkedRows(const MarkedRows&) = delete;
  MarkedRows& operator=(const MarkedRows&) = delete;

  bool any() const { return rows_.size() > 0; }
  bool contains(std::uint32_t row) const { return (bits_[row >> 6] >> (row & 63U) & 1U) != 0; }

 private:
  std::uint64_t& word(std::int32_t row) { return bits_[static_cast<std::size_t>(row) >> 6]; }
  static std::uint64_t bit(std::int32_t row) { return std::uint64_t{1} << (row & 63); }

  std::vector<std::uint64_t>& bits_;
  Rows rows_;
};

// The score of an item of packed codes.
LIGHTREC_INLINE float score_of(const float* entries, const std::uint8_t* code) {
  return ((entries[code[0]] + entries[kWords + code[kBlock]]) + entries[2 * kWords + code[2 * kBlock]]) +
         entries[3 * kWords + code[3 * kBlock]];
}

// Cells find a good bar of themselves, the best ones being read first; blocks depend on the sample.
PackedCodes packed_sample(const std::uint8_t* codes, std::size_t num_items, const Labels& labels, Layout layout) {
  const std::vector<std::size_t> rows = sample_rows(num_items, layout == Layout::kCells ? kCellsSample : kBlocksSample);
  return {rows.size(), kFourBooks, [&](std::size_t i, std::size_t book) {
            return labels[book][codes[rows[i] * kFourBooks + book]];
          }};
}

// The least deficit of each group of 2^shift neighbouring codewords; 255 past the last group.
LIGHTREC_MULTIVERSIONED
void bounds_of_groups(const std::uint8_t* deficits, unsigned shift, std::uint8_t* bounds) {
  const std::size_t size = std::size_t{1} << shift;
  std::fill_n(bounds, kWords, std::uint8_t{255});
  for (std::size_t group = 0; group < kWords >> shift; ++group) {
    std::uint8_t least = 255;
    const std::uint8_t* first = deficits + (group << shift);
    for (std::size_t j = 0; j < size; ++j) least = first[j] < least ? first[j] : least;
    bounds[group] = least;
  }
}

// Short runs are worth while where they hold enough items to fill the registers.
const RunFilter& run_filter(const BoundFilter& filter, std::size_t num_items) {
  const bool enough = num_items * filter.short_runs.words_in_run >= 65536 * kItemsInShortRun;
  return enough ? filter.short_runs : filter.long_runs;
}

unsigned shift_for(std::size_t num_items, std::size_t words_in_run) {
  unsigned shift = 0;
  while ((std::size_t{1} << shift) < words_in_run && (num_items << shift) < 65536 * kItemsPerCell) ++shift;
  return shift;
}

}  // namespace

struct BoundScan::Query {
  Query(const LabelledTable& table, Scratch& memory, const RowFilter& filter, std::size_t num_items)
      : entries(table.entries()),
        deficits(table.entries()),
        scratch(memory),
        best(memory.best),
        excluded(memory.excluded, num_items, filter.excluded) {}

  const float* entries;
  Deficits deficits;
  int limit = Deficits::kLimit;
  std::size_t scored = 0;
  Scratch& scratch;
  KBest& best;
  MarkedRows excluded;
};

BoundScan::BoundScan(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codewords,
                     const Labels& labels, InstructionSet set, Layout layout)
    : Scan(num_items, kFourBooks, num_codewords),
      codes_(codes),
      labels_(labels),
      filter_(bound_filter(set)),
      runs_(run_filter(filter_, num_items)),
      sample_(packed_sample(codes, num_items, labels, layout)) {
  const auto label_of = [&](std::size_t row, std::size_t book) {
    return labels_[book][codes_[row * kFourBooks + book]];
  };
  if (layout == Layout::kFlat) {
    blocks_.emplace(num_items, kFourBooks, label_of);
  } else {
    cells_.emplace(num_items, label_of);
    shift_ = shift_for(num_items, runs_.words_in_run);
  }
}

Ranking BoundScan::top_k(const float* table, std::size_t k, const RowFilter& filter, Order order) const {
  k = clamped(k);
  Scratch& memory = scratch();
  KBest& best = memory.best;
  const std::uint32_t* row_of = cells_ ? cells_->rows() : nullptr;
  if (filter.allowed) {
    best.start(k, kNoBar, nullptr);
    score_listed(table, filter, best);
    Ranking found = best.finish(order);
    found.scored = filter.allowed->size();
    return found;
  }
  const LabelledTable labelled(table, num_codewords(), labels_);
  Query query(labelled, memory, filter, num_items());
  float bar = starting_bar(query, k + filter.excluded.size());
  while (true) {
    best.start(k, bar, row_of);
    query.deficits.quantise(bar);
    query.limit = Deficits::kLimit;
    if (cells_) {
      scan_cells(query);
    } else {
      scan_blocks(query);
    }
    const std::size_t available = num_items() - filter.excluded.size();
    if (bar == kNoBar || best.size() >= std::min(k, available)) {
      Ranking found = best.finish(order);
      found.scored = query.scored;
      return found;
    }
    bar = kNoBar;  // the sample promised too much
  }
}

std::size_t BoundScan::memory() const {
  return sample_.memory() + (cells_ ? cells_->memory() : blocks_->memory());
}

void BoundScan::score_listed(const float* table, const RowFilter& filter, KBest& best) const {
  RowCursor excluded(filter.excluded);
  const KBest::Room room = best.room(filter.allowed->size());
  std::size_t count = 0;
  for (const std::int32_t* next = filter.allowed->begin; next != filter.allowed->end; ++next) {
    const auto row = static_cast<std::size_t>(*next);
    const std::uint8_t* code = codes_ + row * kFourBooks;
    float score = table[code[0]];
    for (std::size_t b = 1; b < kFourBooks; ++b) score += table[b * num_codewords() + code[b]];
    room.orders[count] = KBest::order_of(score);
    room.items[count] = static_cast<std::uint32_t>(row);
    count += excluded.contains(row) ? 0U : 1U;
  }
  best.keep(count);
}

// The score of the item of this rank in the sample. A few of its items give a low bar for the filter, and
// what passes is scored exactly.
float BoundScan::starting_bar(Query& query, std::size_t wanted) const {
  const std::size_t size = sample_.num_items();
  const std::size_t rank = bar_rank(wanted, size, num_items());
  if (rank == 0) return kNoBar;
  const std::size_t few = std::min(kFewOfSample, size), stride = size / few;
  std::int32_t orders[kFewOfSample];
  for (std::size_t i = 0; i < few; ++i) {
    orders[i] = KBest::order_of(score_of(query.entries, sample_.item(i * stride)));
  }
  const std::size_t rank_of_few = std::min(few, 8 + 2 * rank * few / size);
  query.best.start(size, score_of_order(order_with(orders, few, rank_of_few, rank_of_few)), nullptr);
  query.deficits.quantise(query.best.bar());
  score_blocks(query, sample_, 0, sample_.num_blocks());
  if (query.best.size() < rank) return kNoBar;
  return score_of_order(query.best.order_with_rank(rank));
}

void BoundScan::update_bar(Query& query) const {
  if (!query.best.raise()) return;
  const int limit = query.deficits.limit(query.best.bar());
  if (limit < kCoarse || query.deficits.step() > std::numeric_limits<float>::max()) {
    query.deficits.quantise(query.best.bar());
    query.limit = Deficits::kLimit;
  } else {
    query.limit = std::min(query.limit, limit);
  }
}

void BoundScan::scan_blocks(Query& query) const {
  for (std::size_t begin = 0; begin < blocks_->num_blocks();) {
    const std::size_t at_once = query.best.bar() == kNoBar ? kFirstBlocks : kBlocksAtOnce;
    const std::size_t end = std::min(blocks_->num_blocks(), begin + at_once);
    score_blocks(query, *blocks_, begin, end);
    begin = end;
  }
}

void BoundScan::score_blocks(Query& query, const PackedCodes& codes, std::size_t begin_block,
                             std::size_t end_block) const {
  std::vector<Hit>& hits = query.scratch.hits;
  if (hits.size() < end_block - begin_block + 1) hits.resize(end_block - begin_block + 1);
  const std::size_t num_hits =
      filter_.blocks(query.deficits, query.limit, codes.block(0), begin_block, end_block, hits.data());
  const std::size_t tail = codes.num_items() % kBlock;
  if (tail != 0 && num_hits > 0 && hits[num_hits - 1].first == codes.num_items() - tail) {
    hits[num_hits - 1].items &= (std::uint64_t{1} << tail) - 1;  // the padding of the last block
  }
  score_hits(query, num_hits, &codes != &sample_, [&](std::uint32_t place, std::uint32_t) {
    return score_of(query.entries, codes.item(place));
  });
}

// Scores what passed the filter and keeps what reaches the bar. score(place, word): exact; `settled`: whether
// these are items of the catalogue, which may be excluded and raise the bar.
template <typename Score>
void BoundScan::score_hits(Query& query, std::size_t num_hits, bool settled, Score score) const {
  std::vector<std::uint32_t>&places = query.scratch.places, &words = query.scratch.words;
  if (places.size() < num_hits * kBlock) {
    places.resize(num_hits * kBlock);
    words.resize(num_hits * kBlock);
  }
  std::size_t num_places = 0;
  for (std::size_t h = 0; h < num_hits; ++h) {
    const Hit& hit = query.scratch.hits[h];
    for (std::uint64_t items = hit.items; items != 0; items &= items - 1) {
      places[num_places] = hit.first + static_cast<std::uint32_t>(__builtin_ctzll(items));
      words[num_places++] = hit.word;
    }
  }
  if (settled) query.scored += num_places;
  for (std::size_t begin = 0; begin < num_places; begin += kPlacesAtOnce) {
    const std::size_t end = std::min(num_places, begin + kPlacesAtOnce);
    const std::size_t before = query.best.size();
    const float bar = query.best.bar();
    const KBest::Room room = query.best.room(end - begin);
    std::size_t count = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const float exact = score(places[i], words[i]);
      room.orders[count] = KBest::order_of(exact);
      room.items[count] = places[i];
      count += exact >= bar ? 1U : 0U;  // written always, kept when it counts: no branch to guess
    }
    query.best.keep(count);
    if (settled) settle(query, before);
  }
}

// What becomes of items that were just appended: excluded ones go, and the bar rises where it can.
void BoundScan::settle(Query& query, std::size_t before) const {
  if (query.excluded.any()) {
    query.best.filter(before, [&](std::uint32_t row) { return !query.excluded.contains(row); });
  }
  if (query.best.crowded()) update_bar(query);
}

void BoundScan::scan_cells(Query& query) const {
  const std::size_t num_groups = std::size_t{256} >> shift_;
  const std::size_t groups_in_run = std::max<std::size_t>(runs_.words_in_run >> shift_, 1);
  alignas(64) std::uint8_t group_bounds[256];
  const auto measure_groups = [&] { bounds_of_groups(query.deficits.of(1), shift_, group_bounds); };
  measure_groups();

  std::uint8_t order[kWords];  // first codewords, best first
  std::uint16_t starts[257] = {};
  for (std::size_t word = 0; word < kWords; ++word) ++starts[query.deficits.of(0)[word] + 1];
  for (std::size_t i = 0; i < kWords; ++i) starts[i + 1] = static_cast<std::uint16_t>(starts[i + 1] + starts[i]);
  for (std::size_t word = 0; word < kWords; ++word) {
    order[starts[query.deficits.of(0)[word]]++] = static_cast<std::uint8_t>(word);
  }

  std::vector<Run>& runs = query.scratch.runs;
  std::vector<Hit>& hits = query.scratch.hits;
  const Planes planes = cells_->planes();
  runs.clear();
  std::size_t items = 0, target = kFirstItems;
  const auto process = [&] {
    const std::size_t most = items / 32 + 2 * runs.size() + 1;
    if (hits.size() < most) hits.resize(2 * most);
    const std::size_t count =
        runs_.filter(query.deficits, planes, runs.data(), runs.size(), hits.data());
    const float step = query.deficits.step();
    score_hits(query, count, true, [&](std::uint32_t place, std::uint32_t word) {
      const float* t = query.entries;
      const float first_two = t[word] + t[kWords + planes.of_book[0][place]];
      return (first_two + t[2 * kWords + planes.of_book[1][place]]) + t[3 * kWords + planes.of_book[2][place]];
    });
    if (query.deficits.step() != step) measure_groups();
    runs.clear();
    items = 0;
    target = std::min(2 * target, kMostItems);
  };
  for (const std::uint8_t word : order) {
    const int first = query.deficits.of(0)[word];
    if (first > query.limit) continue;
    const int left = query.limit - first;
    for (std::size_t base = 0; base < num_groups; base += 64) {
      std::uint64_t passing = filter_.within(group_bounds + base, left);
      if (num_groups < 64) passing &= (std::uint64_t{1} << num_groups) - 1;
      while (passing != 0) {
        const auto begin = static_cast<std::size_t>(__builtin_ctzll(passing));
        const std::uint64_t gaps = ~(passing >> begin);
        std::size_t length = gaps == 0 ? 64 - begin : static_cast<std::size_t>(__builtin_ctzll(gaps));
        length = std::min(length, groups_in_run - (base + begin) % groups_in_run);
        const std::size_t past = begin + length;
        passing = past >= 64 ? 0 : passing & (~std::uint64_t{0} << past);
        const std::uint32_t from = cells_->start(word, (base + begin) << shift_);
        const std::uint32_t to = cells_->start(word, (base + past) << shift_);
        if (from == to) continue;
        runs.push_back({from, to, word, static_cast<std::uint32_t>(left)});
        items += to - from;
      }
    }
    if (items >= target || runs.size() >= kMostRuns) process();
  }
  process();
}

}  // namespace lightrec
