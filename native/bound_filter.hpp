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

// The filters for one instruction set. `hits` has room for every block, or for every 64 items or part of
// them of every run.
struct BoundFilter {
  // Blocks [begin, end) of four-book PackedCodes. Padding items of a last block may be among the hits.
  std::size_t (*blocks)(const Deficits& deficits, int limit, const std::uint8_t* blocks, std::size_t begin,
                        std::size_t end, Hit* hits);

  // All items of the runs. The codewords of book 1 in a run lie in one group of `words_in_run`, aligned.
  std::size_t (*runs)(const Deficits& deficits, const Planes& planes, const Run* runs, std::size_t count,
                      Hit* hits);

  // One bit for each of 64 bytes that is at most `limit`; they stand at an address that 64 divides.
  std::uint64_t (*within)(const std::uint8_t* bytes, int limit);

  std::size_t words_in_run;
  bool exact_sums;  // whether bounds are those of codewords, not of groups of four neighbours
};

// The filter for an instruction set other than kPortable.
const BoundFilter& bound_filter(InstructionSet set);

extern const BoundFilter kAvx2Filter;
extern const BoundFilter kAvx512Filter;

}  // namespace lightrec
