#include "cell_walk.hpp"

#include <algorithm>
#include <vector>

#include "instruction_sets.hpp"
#include "prefetch.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kWords = Deficits::kWords;
constexpr std::size_t kFewestItems = 256, kFewItems = 1024;  // before the bar is looked at again; then twice as many
constexpr std::size_t kMostItems = 65536;
constexpr std::size_t kMostRuns = 4096;

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

// Collects runs of neighbouring cells until there are enough to be worth a look at the bar.
class CellWalk {
 public:
  CellWalk(BoundQuery& query, const CellOrder& cells, RunFilter BoundFilter::* runs)
      : query_(query),
        cells_(cells),
        planes_(cells.planes()),
        runs_(runs),
        num_groups_(kWords >> cells.shift()),
        groups_in_run_(std::max<std::size_t>((query.choice.filter().*runs).words_in_run >> cells.shift(), 1)),
        within_(query.choice.filter().within),
        target_(std::clamp(4 * query.best.wanted(), kFewestItems, kFewItems)) {}

  // Visits first codewords in the order given, which should be that of their promise.
  void walk(const std::uint8_t* words, std::size_t count) {
    measure_groups();
    query_.scratch.runs.clear();
    for (std::size_t i = 0; i < count; ++i) {
      visit(words[i]);
      if (query_.scratch.runs.size() >= kMostRuns) score_runs();
    }
    score_runs();
  }

 private:
  void measure_groups() { bounds_of_groups(query_.deficits.of(1), cells_.shift(), bounds_); }

  // What the other books' deficits may add up to beside this first codeword; negative where it is too far off.
  int left_beside(std::uint8_t word) const { return query_.limit - query_.deficits.of(0)[word]; }

  // The cells of a first codeword that pass, as runs of neighbours.
  void visit(std::uint8_t word) {
    for (std::size_t base = 0; base < num_groups_; base += 64) {
      const int left = left_beside(word);  // anew, because runs may have been scored, and the bounds be others
      if (left < 0) return;
      std::uint64_t passing = within_(bounds_ + base, left);
      if (num_groups_ < 64) passing &= (std::uint64_t{1} << num_groups_) - 1;
      while (passing != 0) {
        const auto begin = static_cast<std::size_t>(__builtin_ctzll(passing));
        const std::uint64_t gaps = ~(passing >> begin);
        std::size_t length = gaps == 0 ? 64 - begin : static_cast<std::size_t>(__builtin_ctzll(gaps));
        length = std::min(length, groups_in_run_ - ((base + begin) & (groups_in_run_ - 1)));  // a power of two
        const std::size_t past = begin + length;
        passing = past >= 64 ? 0 : passing & (~std::uint64_t{0} << past);
        add_run(cells_.start(word, base + begin), cells_.start(word, base + past), word);
      }
    }
  }

  // In pieces where it is long, so that memory stays small, and the bar rises before much has passed.
  void add_run(std::uint32_t from, std::uint32_t to, std::uint8_t word) {
    while (from < to) {
      const int left = left_beside(word);  // anew, because the bar may have risen
      if (left < 0) return;
      const auto end = static_cast<std::uint32_t>(std::min<std::size_t>(to, from + (target_ - items_)));
      query_.scratch.runs.push_back({from, end, word, static_cast<std::uint32_t>(left)});
      for (const std::uint8_t* plane : planes_.of_book) prefetch(plane + from);  // runs lie anywhere
      items_ += end - from;
      from = end;
      if (items_ >= target_) score_runs();
    }
  }

  void score_runs() {
    std::vector<Run>& runs = query_.scratch.runs;
    std::vector<Hit>& hits = query_.scratch.hits;
    const std::size_t most = items_ / 32 + 2 * runs.size() + 1;
    if (hits.size() < most) hits.resize(2 * most);
    const RunFilter& filter = query_.choice.filter().*runs_;
    const std::size_t count = filter.filter(query_.deficits, planes_, runs.data(), runs.size(), hits.data());
    const float step = query_.deficits.step();
    const std::size_t before = query_.scored;
    query_.score_hits(count, planes_);
    query_.choice.learn(items_, query_.scored - before);
    if (query_.deficits.step() != step) measure_groups();
    runs.clear();
    items_ = 0;
    target_ = std::min(2 * target_, kMostItems);
  }

  BoundQuery& query_;
  const CellOrder& cells_;
  Planes planes_;
  RunFilter BoundFilter::* runs_;
  std::size_t num_groups_, groups_in_run_;
  std::uint64_t (*within_)(const std::uint8_t*, int);
  std::size_t items_ = 0, target_;
  alignas(64) std::uint8_t bounds_[kWords];
};

}  // namespace

void walk_cells(BoundQuery& query, const CellOrder& cells, RunFilter BoundFilter::* runs) {
  std::uint8_t words[kWords];
  walk_cells_of(query, cells, runs, words, query.deficits.near_words(0, query.limit, words));
}

void walk_cells_of(BoundQuery& query, const CellOrder& cells, RunFilter BoundFilter::* runs,
                   const std::uint8_t* words, std::size_t count) {
  CellWalk(query, cells, runs).walk(words, count);
}

}  // namespace lightrec
