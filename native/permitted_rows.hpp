// Which rows a query may return, for rows in any order.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

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

// A short list of rows as a table that stays in the nearest cache: a bit for every row of a large catalogue would be
// fetched from far away. A kilobyte of bits, one for all rows of the same hash, answers for nearly every row that is
// not in the list.
class HashedRows {
 public:
  static constexpr std::size_t kMost = 1024;

  explicit HashedRows(Rows rows) {
    if (rows.size() == 0) return;
    while ((std::size_t{1} << slot_bits_) < 2 * rows.size()) ++slot_bits_;
    std::fill_n(slots_.begin(), std::size_t{1} << slot_bits_, kNone);
    bits_.fill(0);
    for (const std::int32_t* next = rows.begin; next != rows.end; ++next) {
      const auto row = static_cast<std::uint32_t>(*next);
      const std::uint32_t hash = hash_of(row);
      bits_[hash >> (32 - kBits) >> 6] |= std::uint64_t{1} << (hash >> (32 - kBits) & 63U);
      std::size_t slot = hash >> (32 - slot_bits_);
      while (slots_[slot] != kNone) slot = after(slot);
      slots_[slot] = row;
    }
  }

  // Of at least one row.
  bool contains(std::uint32_t row) const {
    const std::uint32_t hash = hash_of(row);
    if ((bits_[hash >> (32 - kBits) >> 6] >> (hash >> (32 - kBits) & 63U) & 1U) == 0) return false;
    std::size_t slot = hash >> (32 - slot_bits_);
    while (slots_[slot] != kNone && slots_[slot] != row) slot = after(slot);
    return slots_[slot] == row;
  }

 private:
  static constexpr unsigned kBits = 13;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  static std::uint32_t hash_of(std::uint32_t row) { return row * 2654435769U; }  // 2^32 by the golden ratio
  std::size_t after(std::size_t slot) const { return (slot + 1) & ((std::size_t{1} << slot_bits_) - 1); }

  unsigned slot_bits_ = 1;  // twice as many slots as rows, or more
  std::array<std::uint64_t, (std::size_t{1} << kBits) / 64> bits_;
  std::array<std::uint32_t, 2 * kMost> slots_;
};

// Which rows a query may return.
class PermittedRows {
 public:
  PermittedRows(RowBits& excluded, RowBits& allowed, std::size_t num_items, const RowFilter& filter)
      : few_(filter.excluded.size() <= HashedRows::kMost && !filter.allowed && filter.mask.words == nullptr),
        num_excluded_(filter.excluded.size()),
        hashed_(few_ ? filter.excluded : Rows{}),
        excluded_(excluded, num_items, few_ ? Rows{} : filter.excluded),
        allowed_(allowed, num_items, filter.allowed.value_or(Rows{})),
        only_allowed_(filter.allowed.has_value()),
        mask_(filter.mask) {}

  bool all() const { return few_ && num_excluded_ == 0; }

  // Whether nothing but a few rows is excluded.
  bool all_but_few() const { return few_; }
  std::size_t num_excluded() const { return num_excluded_; }
  const HashedRows& few_excluded() const { return hashed_; }

  // No part of the answer decides whether the next is looked for: nobody could predict that.
  bool contains(std::size_t row) const {
    if (few_) return num_excluded_ == 0 || !hashed_.contains(static_cast<std::uint32_t>(row));
    const bool excluded = excluded_.any() && excluded_.contains(row);
    const bool allowed = !only_allowed_ || (allowed_.any() && allowed_.contains(row));
    return static_cast<bool>(static_cast<int>(mask_.contains(row)) & static_cast<int>(!excluded) &
                             static_cast<int>(allowed));
  }

 private:
  bool few_;
  std::size_t num_excluded_;
  HashedRows hashed_;
  MarkedRows excluded_, allowed_;
  bool only_allowed_;
  RowMask mask_;
};

}  // namespace lightrec
