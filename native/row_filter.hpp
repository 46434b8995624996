// Which rows a search may return.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace lightrec {

// Ascending row numbers without repetition; borrowed, not owned.
struct Rows {
  const std::int32_t* begin = nullptr;
  const std::int32_t* end = nullptr;

  std::size_t size() const { return static_cast<std::size_t>(end - begin); }
};

// What the rows of one search are taken from.
struct RowFilter {
  Rows excluded;                // never returned
  std::optional<Rows> allowed;  // where given, nothing else is returned
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
