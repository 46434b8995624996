#include "flat_walk.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace lightrec {
namespace {

constexpr std::size_t kBlocksAtOnce = 512;  // between two looks at the bar
constexpr std::size_t kFirstBlocks = 16;    // to begin with, and while there is no bar and every item passes

template <bool kPaired>
void score_hits(BoundQuery& query, const PackedCodes& items, std::size_t num_hits) {
  const LabelledTable& table = query.table;
  query.score_hits(
      num_hits, [&](std::uint32_t place, std::uint32_t) { return table.score<kPaired>(items.item(place)); });
}

}  // namespace

void walk_blocks(BoundQuery& query, const PackedCodes& items) {
  std::size_t at_once = kFirstBlocks;
  for (std::size_t begin = 0; begin < items.num_blocks();) {
    if (query.best.bar() != kNoBar) at_once = std::min(2 * at_once, kBlocksAtOnce);
    const std::size_t end = std::min(items.num_blocks(), begin + at_once);
    score_blocks(query, items, begin, end);
    begin = end;
  }
}

void score_blocks(BoundQuery& query, const PackedCodes& items, std::size_t begin, std::size_t end) {
  std::vector<Hit>& hits = query.scratch.hits;
  if (hits.size() < end - begin + 1) hits.resize(end - begin + 1);
  const std::size_t num_hits =
      query.choice.filter().blocks(query.deficits, query.limit, items.block(0), begin, end, hits.data());
  const std::size_t tail = items.num_items() % kBlock;
  if (tail != 0 && num_hits > 0 && hits[num_hits - 1].first == items.num_items() - tail) {
    hits[num_hits - 1].items &= (std::uint64_t{1} << tail) - 1;  // the padding of the last block
  }
  const std::size_t before = query.scored;
  if (query.table.paired()) {
    score_hits<true>(query, items, num_hits);
  } else {
    score_hits<false>(query, items, num_hits);
  }
  query.choice.learn((end - begin) * kBlock, query.scored - before);
}

}  // namespace lightrec
