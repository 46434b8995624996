// Score tables: the inner products of a query with every codeword.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "large_pages.hpp"

namespace lightrec {

// Most codewords that a codebook can have: a code is one byte.
inline constexpr std::size_t kMaxCodewords = 256;

// Codebooks laid out for building tables: the B*W codewords are cut into panels of 64, and a panel stores
// its 64 values of dimension 0, then of dimension 1, and so on. One pass over a panel is one sequential
// read with all 64 sums in registers; the plain (D, B*W) layout strides by whole pages and is 3x slower.
class ScoreTableBuilder {
 public:
  // codebooks: (num_codebooks, num_codewords, width), row-major.
  ScoreTableBuilder(const float* codebooks, std::size_t num_codebooks, std::size_t num_codewords,
                    std::size_t width);

  // queries: (num_queries, width); tables: (num_queries, num_codebooks, num_codewords), both row-major.
  // An entry is ((q0*c0 + q1*c1) + q2*c2) + ..., every product and every sum rounded to float.
  void build(const float* queries, std::size_t num_queries, float* tables) const;

  std::size_t num_codebooks() const { return num_codebooks_; }
  std::size_t num_codewords() const { return num_codewords_; }
  std::size_t width() const { return width_; }

 private:
  std::size_t num_codebooks_, num_codewords_, width_;
  LargeArray<float> panels_;  // (panels, width, 64)
};

// A score table as every scan reads it: 256 entries for each codebook, so that the row of a codebook is
// found by a shift. Copies only where there are fewer codewords, else it borrows.
class PaddedTable {
 public:
  // table: (num_codebooks, num_codewords).
  PaddedTable(const float* table, std::size_t num_codebooks, std::size_t num_codewords) : entries_(table) {
    if (num_codewords == kMaxCodewords) return;
    copy_.assign(num_codebooks * kMaxCodewords, 0.0F);
    for (std::size_t b = 0; b < num_codebooks; ++b) {
      std::copy_n(table + b * num_codewords, num_codewords, copy_.data() + b * kMaxCodewords);
    }
    entries_ = copy_.data();
  }
  PaddedTable(const PaddedTable&) = delete;
  PaddedTable& operator=(const PaddedTable&) = delete;

  const float* entries() const { return entries_; }  // (num_codebooks, 256)

 private:
  std::vector<float> copy_;
  const float* entries_;
};

}  // namespace lightrec
