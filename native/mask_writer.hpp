// Changes the bits of a row mask while searches read them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "row_filter.hpp"

namespace lightrec {

// Sets or clears the bits of rows, and returns how many were not so before. One writer at a time: readers see each
// word before or after.
inline std::size_t set_rows(std::uint64_t* words, Rows rows, bool permitted) {
  std::size_t changed = 0;
  for (const std::int32_t* next = rows.begin; next != rows.end; ++next) {
    const auto row = static_cast<std::size_t>(*next);
    const std::uint64_t bit = std::uint64_t{1} << (row % 64);
    std::uint64_t* word = words + row / 64;
    const std::uint64_t before = permitted ? __atomic_fetch_or(word, bit, __ATOMIC_RELAXED)
                                           : __atomic_fetch_and(word, ~bit, __ATOMIC_RELAXED);
    if (((before & bit) != 0) != permitted) ++changed;
  }
  return changed;
}

}  // namespace lightrec
