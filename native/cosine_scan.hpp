// Items like an item: by the cosine similarity of decoded vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ranking.hpp"
#include "row_filter.hpp"

namespace lightrec {

// A catalogue whose decoded vectors have known lengths. Borrows everything; safe to use from several threads.
class CosineScan {
 public:
  // codes: (num_items, num_codebooks), row-major, every code below num_codewords. lengths: (num_items,).
  CosineScan(const std::uint8_t* codes, const float* lengths, std::size_t num_items, std::size_t num_codebooks,
             std::size_t num_codewords)
      : codes_(codes),
        lengths_(lengths),
        num_items_(num_items),
        num_codebooks_(num_codebooks),
        num_codewords_(num_codewords) {}

  // The k best rows by score / length, cut off at -1 and 1; 0 where the length is. table: the score table of a
  // unit vector, (num_codebooks, num_codewords). Every item that may be returned is scored.
  Ranking top_k(const float* table, std::size_t k, const RowFilter& filter) const;

  std::size_t num_items() const { return num_items_; }
  std::size_t num_codebooks() const { return num_codebooks_; }
  std::size_t num_codewords() const { return num_codewords_; }

 private:
  const std::uint8_t* codes_;
  const float* lengths_;
  std::size_t num_items_, num_codebooks_, num_codewords_;
};

}  // namespace lightrec
