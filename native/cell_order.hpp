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
  // code_of(row, book) names codewords by the numbers that the filters know.
  template <typename CodeOf>
  CellOrder(std::size_t num_items, CodeOf code_of) : starts_(kCells + 1, 0), rows_(num_items) {
    const auto cell_of = [&](std::size_t row) {
      return std::size_t{code_of(row, 0)} << 8 | std::size_t{code_of(row, 1)};
    };
    for (std::size_t row = 0; row < num_items; ++row) ++starts_[cell_of(row) + 1];
    for (std::size_t cell = 0; cell < kCells; ++cell) starts_[cell + 1] += starts_[cell];
    std::vector<std::uint32_t> next(starts_.begin(), starts_.end() - 1);
    for (auto& plane : planes_) plane.resize(num_items + kPadding);
    for (std::size_t row = 0; row < num_items; ++row) {
      const std::uint32_t place = next[cell_of(row)]++;
      rows_[place] = static_cast<std::uint32_t>(row);
      for (std::size_t book = 1; book < kFourBooks; ++book) planes_[book - 1][place] = code_of(row, book);
    }
  }

  std::size_t num_items() const { return rows_.size(); }

  std::size_t memory() const {
    return 4 * (starts_.size() + rows_.size()) + planes_[0].size() + planes_[1].size() + planes_[2].size();
  }

  // Where the items with this first codeword and a second one from `second` on begin; second may be 256.
  std::uint32_t start(std::size_t first, std::size_t second) const { return starts_[first * 256 + second]; }

  Planes planes() const { return {{planes_[0].data(), planes_[1].data(), planes_[2].data()}}; }
  const std::uint32_t* rows() const { return rows_.data(); }

 private:
  static constexpr std::size_t kCells = 65536;
  static constexpr std::size_t kPadding = 64;  // filters read whole vectors

  std::vector<std::uint32_t> starts_;
  LargeArray<std::uint32_t> rows_;
  LargeArray<std::uint8_t> planes_[3];
};

}  // namespace lightrec
