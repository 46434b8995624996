// The least number of any range, from a table that the registers of a filter can look up in.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace lightrec {

// The least of sixteen numbers in any range of them: two entries of this table tell it.
class RangeMinima {
 public:
  static constexpr std::size_t kNumbers = 16;

  explicit RangeMinima(const std::array<std::uint8_t, kNumbers>& numbers) {
    std::copy(numbers.begin(), numbers.end(), entries_.begin());
    for (std::size_t level = 1; level < kStarts.size(); ++level) {
      const std::size_t half = std::size_t{1} << (level - 1);
      for (std::size_t i = 0; i + 2 * half <= kNumbers; ++i) {
        entries_[kStarts[level] + i] =
            std::min(entries_[kStarts[level - 1] + i], entries_[kStarts[level - 1] + i + half]);
      }
    }
  }

  const std::uint8_t* entries() const { return entries_.data(); }  // (64,)

  // The entries whose lesser one is the least number from `first` to `last`.
  struct Pair {
    std::uint8_t low, high;
  };
  static Pair range(std::size_t first, std::size_t last) {
    std::size_t level = 0;
    while ((std::size_t{2} << level) <= last - first + 1) ++level;
    const std::size_t high = last + 1 - (std::size_t{1} << level);
    return {static_cast<std::uint8_t>(kStarts[level] + first), static_cast<std::uint8_t>(kStarts[level] + high)};
  }

 private:
  // Of the entries for 1, 2, 4, 8 and 16 numbers in a row.
  static constexpr std::array<std::size_t, 5> kStarts = {0, 16, 31, 44, 53};

  alignas(64) std::array<std::uint8_t, 64> entries_ = {};
};

}  // namespace lightrec
