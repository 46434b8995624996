// Which rows a search may return.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace lightrec {

// Ascending row numbers without repetition; borrowed, not owned.
struct Rows {
  const std::int32_t* begin = nullptr;
  const std::int32_t* end = nullptr;

  std::size_t size() const { return static_cast<std::size_t>(end - begin); }
};

// One bit a row, borrowed, not owned; no words stand for every row. Others may set bits meanwhile.
struct RowMask {
  const std::uint64_t* words = nullptr;
  std::size_t count = 0;  // of rows whose bit is set

  bool contains(std::size_t row) const { return words == nullptr || (word(row / 64) >> (row % 64) & 1U) != 0; }

  // The rows whose bit is set, ascending.
  std::vector<std::int32_t> rows(std::size_t num_rows) const {
    std::vector<std::int32_t> found;
    found.reserve(count);
    for (std::size_t first = 0; first < num_rows; first += 64) {
      for (std::uint64_t bits = word(first / 64); bits != 0; bits &= bits - 1) {
        found.push_back(static_cast<std::int32_t>(first + static_cast<std::size_t>(__builtin_ctzll(bits))));
      }
    }
    return found;
  }

 private:
  std::uint64_t word(std::size_t place) const { return __atomic_load_n(words + place, __ATOMIC_RELAXED); }
};

// What the rows of one search are taken from.
struct RowFilter {
  Rows excluded;                // never returned
  std::optional<Rows> allowed;  // where given, nothing else is returned
  RowMask mask;                 // nor anything that it does not hold
};

// Answers whether rows, asked for in ascending order, are in a list. It walks through the list once, so a
// filter costs its own length and nothing per item; there is no bitmap to clear for every query.
class RowCursor {
 public:
  explicit RowCursor(Rows rows) : next_(rows.begin), end_(rows.end) {}

  bool contains(std::size_t row) {
    while (next_ != end_ && static_cast<std::size_t>(*next_) < row) ++next_;
    return next_ != end_ && static_cast<std::size_t>(*next_) == row;
  }

 private:
  const std::int32_t* next_;
  const std::int32_t* end_;
};

}  // namespace lightrec
