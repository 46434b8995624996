// Which items may reach a bar: sums of eight-bit deficits, 32 or 64 items at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "deficits.hpp"
#include "instruction_sets.hpp"

namespace lightrec {

// Up to 64 neighbouring items of which some may reach the bar: bit j stands for item `first` + j.
struct Hit {
  std::uint64_t items;
  std::uint32_t first;
  std::uint32_t word;  // of book 0, where the items all have the same
};

// Items that have one codeword of book 0 in common, and lie side by side.
struct Run {
  std::uint32_t begin, end;
  std::uint32_t word;   // of book 0
  std::uint32_t limit;  // what the deficits of books 1 to 3 may add up to
};

// The codes of books 1 to 3, a plane each. A kernel may read up to 64 bytes past the last item.
struct Planes {
  const std::uint8_t* of_book[3];
};

// A filter of runs: all their items. The codewords of book 1 in a run lie in one aligned group of
// `words_in_run`. `hits` has room for every 32 items or part of them of every run.
struct RunFilter {
  std::size_t (*filter)(const Deficits& deficits, const Planes& planes, const Run* runs, std::size_t count,
                        Hit* hits);
  std::size_t words_in_run;
};

// Tiles (tile_order.hpp) as a filter reads them; it may read up to 64 bytes past the last one. The places of a tile that
// hold no item come last.
struct Tiles {
  Planes planes;
  const std::uint8_t *words, *counts;  // of each tile: its codeword of book 0, and how many items it has
  const std::uint8_t *lows, *highs;    // and two entries of a table, whose lesser one bounds book 1
};

// A filter in two steps: tiles, then the items of those that are left.
struct TileFilter {
  // Which tiles from `begin` to `end` have a bound by book 1 of at most `left`. ranges: (64,), aligned to as many bytes.
  // `found` has room for 16 more than there are.
  std::size_t (*near)(const std::uint8_t* ranges, const Tiles& tiles, std::size_t begin, std::size_t end, int left,
                      std::uint32_t* found);

  // Their items. The limit must not be less than that which the tiles were found with. `hits` has room for every tile.
  std::size_t (*items)(const Deficits& deficits, int limit, const Tiles& tiles, const std::uint32_t* found,
                       std::size_t count, Hit* hits);
};

// The filters for one instruction set.
struct BoundFilter {
  // Blocks [begin, end) of four-book PackedCodes. Padding items of a last block may be among the hits, for
  // which there is room for every block.
  std::size_t (*blocks)(const Deficits& deficits, int limit, const std::uint8_t* blocks, std::size_t begin,
                        std::size_t end, Hit* hits);

  RunFilter short_runs;  // cheaper for an item, but of fewer neighbouring codewords of book 1
  RunFilter long_runs;   // of any

  TileFilter tiles;  // null where cells serve as well

  // One bit for each of 64 bytes that is at most `limit`; they stand at an address that 64 divides.
  std::uint64_t (*within)(const std::uint8_t* bytes, int limit);

  // A cheaper filter of the same runs, which lets more items through; null where there is none.
  const BoundFilter* coarse;
};

// Which of two filters serves next: the coarse one while few items pass it, because each costs an exact score.
class FilterChoice {
 public:
  explicit FilterChoice(const BoundFilter& fine) : fine_(fine), coarse_(fine.coarse != nullptr) {}

  const BoundFilter& filter() const { return coarse_ ? *fine_.coarse : fine_; }

  // How many of the items last filtered passed.
  void learn(std::size_t items, std::size_t passed) {
    if (fine_.coarse == nullptr) return;
    coarse_ = passed * (coarse_ ? kItemsPerCoarse : kItemsPerFine) <= items;
  }

 private:
  static constexpr std::size_t kItemsPerCoarse = 20, kItemsPerFine = 80;  // measured; a quarter passes the fine one

  const BoundFilter& fine_;
  bool coarse_;
};

// The filter for an instruction set other than kPortable.
const BoundFilter& bound_filter(InstructionSet set);

extern const BoundFilter kAvx2Filter;
extern const BoundFilter kAvx512Filter;

}  // namespace lightrec
