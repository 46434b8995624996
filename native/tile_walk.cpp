#include "tile_walk.hpp"

#include <algorithm>

namespace lightrec {
namespace {

constexpr std::size_t kFewestTiles = 4, kFewTiles = 16;  // before the bar is looked at again; then twice as many
constexpr std::size_t kMostTiles = 512;
constexpr std::size_t kTilesAtOnce = 256;  // of one codeword, between two looks at the bar
constexpr std::size_t kSpare = 16;         // places after those found that may be written

// Collects tiles until there are enough to be worth a look at the bar.
class TileWalk {
 public:
  TileWalk(BoundQuery& query, const TileOrder& order)
      : query_(query),
        order_(order),
        tiles_(order.tiles()),
        minima_(TileOrder::minima_of(query.deficits.of(1))),
        target_(std::clamp(query.best.wanted() / 16, kFewestTiles, kFewTiles)) {
    constexpr std::size_t most = kMostTiles + kTilesAtOnce;
    Scratch& scratch = query.scratch;
    if (scratch.tiles.size() < most + kSpare) scratch.tiles.resize(most + kSpare);
    if (scratch.hits.size() < most + 1) scratch.hits.resize(most + 1);
  }

  // First codewords are visited in the order of their promise.
  void walk() {
    std::uint8_t words[Deficits::kWords];
    const std::size_t count = query_.deficits.near_words(0, query_.limit, words);
    for (std::size_t i = 0; i < count; ++i) visit(words[i]);
    score_tiles();
  }

 private:
  void visit(std::size_t word) {
    const std::size_t past = order_.start(word + 1);
    for (std::size_t begin = order_.start(word), end; begin < past; begin = end) {
      const int left = query_.limit - query_.deficits.of(0)[word];  // anew, because the bar may have risen
      if (left < 0) return;
      end = std::min(past, begin + kTilesAtOnce);
      const TileFilter& filter = query_.choice.filter().tiles;
      count_ += filter.near(minima_.entries(), tiles_, begin, end, left, query_.scratch.tiles.data() + count_);
      if (count_ >= target_) score_tiles();
    }
  }

  void score_tiles() {
    const TileFilter& filter = query_.choice.filter().tiles;
    std::vector<Hit>& hits = query_.scratch.hits;
    const std::size_t num_hits =
        filter.items(query_.deficits, query_.limit, tiles_, query_.scratch.tiles.data(), count_, hits.data());
    const float step = query_.deficits.step();
    const std::size_t before = query_.scored;
    query_.score_hits(num_hits, tiles_.planes);
    query_.choice.learn(count_ * TileOrder::kItems, query_.scored - before);
    if (query_.deficits.step() != step) minima_ = TileOrder::minima_of(query_.deficits.of(1));
    count_ = 0;
    target_ = std::min(2 * target_, kMostTiles);
  }

  BoundQuery& query_;
  const TileOrder& order_;
  Tiles tiles_;
  RangeMinima minima_;
  std::size_t count_ = 0, target_;
};

}  // namespace

void walk_tiles(BoundQuery& query, const TileOrder& order) { TileWalk(query, order).walk(); }

}  // namespace lightrec
