// The catalogue in cells: items that share their first codeword, and nearly their second, lie side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bound_filter.hpp"
#include "large_pages.hpp"

namespace lightrec {

// Four-book codes in the order of their first two codewords, rows ascending among equals. The first codeword
// is implied by an item's place; the other three are planes of their own. Seven bytes an item.
class CellOrder {
 public:
  // code_of(row, book) names codewords by the numbers that the filters know. A cell is 2^shift neighbouring
  // second codewords: only where cells start is kept, so that little is read to find them.
  template <typename CodeOf>
  CellOrder(std::size_t num_items, unsigned shift, CodeOf code_of) : shift_(shift), rows_(num_items) {
    std::vector<std::uint32_t> starts(kCodewords * kCodewords + 1, 0);
    const auto cell_of = [&](std::size_t row) {
      return std::size_t{code_of(row, 0)} << 8 | std::size_t{code_of(row, 1)};
    };
    for (std::size_t row = 0; row < num_items; ++row) ++starts[cell_of(row) + 1];
    for (std::size_t pair = 1; pair < starts.size(); ++pair) starts[pair] += starts[pair - 1];
    for (std::size_t pair = 0; pair < starts.size(); pair += std::size_t{1} << shift) starts_.push_back(starts[pair]);
    std::vector<std::uint32_t>& next = starts;
    for (auto& plane : planes_) plane.resize(num_items + kPadding);
    for (std::size_t row = 0; row < num_items; ++row) {
      const std::uint32_t place = next[cell_of(row)]++;
      rows_[place] = static_cast<std::uint32_t>(row);
      for (std::size_t book = 1; book < kFourBooks; ++book) planes_[book - 1][place] = code_of(row, book);
    }
  }

  std::size_t num_items() const { return rows_.size(); }

  // A cell is 2^shift() neighbouring second codewords.
  unsigned shift() const { return shift_; }

  std::size_t memory() const {
    return 4 * (starts_.size() + rows_.size()) + planes_[0].size() + planes_[1].size() + planes_[2].size();
  }

  // Where the items of this cell of a first codeword begin; after the last cell, those of the next codeword do.
  std::uint32_t start(std::size_t first, std::size_t cell) const {
    return starts_[(first << (8 - shift_)) + cell];
  }

  Planes planes() const { return {{planes_[0].data(), planes_[1].data(), planes_[2].data()}}; }
  const std::uint32_t* rows() const { return rows_.data(); }

 private:
  static constexpr std::size_t kCodewords = 256;
  static constexpr std::size_t kPadding = 64;  // filters read whole vectors

  unsigned shift_;
  std::vector<std::uint32_t> starts_;
  LargeArray<std::uint32_t> rows_;
  LargeArray<std::uint8_t> planes_[3];
};

}  // namespace lightrec
