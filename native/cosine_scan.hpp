// Items like an item: by the cosine similarity of decoded vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ranking.hpp"
#include "row_filter.hpp"

namespace lightrec {

// A catalogue whose decoded vectors have known lengths; everything is borrowed.
struct MeasuredItems {
  const std::uint8_t* codes;  // (num_items, num_codebooks), row-major
  const float* lengths;       // (num_items,)
  std::size_t num_items, num_codebooks;
};

// The k best rows by score / length, cut off at -1 and 1; 0 where the length is. table: the score table of a unit
// vector, (num_codebooks, num_codewords). Every item that may be returned is scored.
Ranking cosine_top_k(const MeasuredItems& items, const float* table, std::size_t num_codewords, std::size_t k,
                     const RowFilter& filter);

}  // namespace lightrec
