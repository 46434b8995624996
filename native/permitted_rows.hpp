// Which rows a filter permits, for rows in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "excluded_rows.hpp"
#include "row_filter.hpp"

namespace lightrec {

// One bit a row, all clear between queries; kept by a thread.
using RowBits = std::vector<std::uint64_t>;

// Sets the bits of rows for as long as it lives.
class MarkedRows {
 public:
  MarkedRows(RowBits& bits, std::size_t num_items, Rows rows) : bits_(bits), rows_(rows) {
    if (rows_.size() == 0) return;
    if (bits_.size() * 64 < num_items) bits_.resize((num_items + 63) / 64);
    for (const std::int32_t* row = rows_.begin; row != rows_.end; ++row) {
      word(*row) |= std::uint64_t{1} << (*row % 64);
    }
  }
  ~MarkedRows() {
    for (const std::int32_t* row = rows_.begin; row != rows_.end; ++row) word(*row) = 0;
  }
  MarkedRows(const MarkedRows&) = delete;
  MarkedRows& operator=(const MarkedRows&) = delete;

  bool any() const { return rows_.size() > 0; }
  bool contains(std::size_t row) const { return (bits_[row / 64] >> (row % 64) & 1U) != 0; }

 private:
  std::uint64_t& word(std::int32_t row) { return bits_[static_cast<std::size_t>(row) / 64]; }

  RowBits& bits_;
  Rows rows_;
};

// What a filter permits, but for excluded rows that are few: ExcludedRows has them.
class PermittedRows {
 public:
  PermittedRows(RowBits& excluded, RowBits& allowed, std::size_t num_items, const RowFilter& filter)
      : excluded_(excluded, num_items, ExcludedRows::are_few(filter.excluded) ? Rows{} : filter.excluded),
        allowed_(allowed, num_items, filter.allowed.value_or(Rows{})),
        only_allowed_(filter.allowed.has_value()),
        mask_(filter.mask) {}

  bool all() const { return !excluded_.any() && !only_allowed_ && mask_.words == nullptr; }

  // No part of the answer decides whether the next is looked for: nobody could predict that.
  bool contains(std::size_t row) const {
    const bool excluded = excluded_.any() && excluded_.contains(row);
    const bool allowed = !only_allowed_ || (allowed_.any() && allowed_.contains(row));
    return static_cast<bool>(static_cast<int>(mask_.contains(row)) & static_cast<int>(!excluded) &
                             static_cast<int>(allowed));
  }

 private:
  MarkedRows excluded_, allowed_;
  bool only_allowed_;
  RowMask mask_;
};

}  // namespace lightrec
