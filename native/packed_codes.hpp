// Item codes as every scan reads them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "large_pages.hpp"

namespace lightrec {

inline constexpr std::size_t kBlock = 64;  // items per block: one cache line, one 512-bit register

// Blocks of 64 items; a block stores the 64 codes of book 0, then those of book 1, and so on. Items past
// the end of the last block have the code 0 everywhere. There are fewer than 2^31 items.
class PackedCodes {
 public:
  // codes: (num_items, num_codebooks), row-major.
  PackedCodes(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks)
      : PackedCodes(num_items, num_codebooks,
                    [=](std::size_t row, std::size_t book) { return codes[row * num_codebooks + book]; }) {}

  // code_of(row, book): a code below 256.
  template <typename CodeOf>
  PackedCodes(std::size_t num_items, std::size_t num_codebooks, CodeOf code_of)
      : num_items_(num_items),
        num_codebooks_(num_codebooks),
        bytes_((num_items + kBlock - 1) / kBlock * kBlock * num_codebooks) {
    for (std::size_t i = 0; i < num_items; ++i) {
      for (std::size_t b = 0; b < num_codebooks; ++b) bytes_[offset(i) + b * kBlock] = code_of(i, b);
    }
  }

  std::size_t num_items() const { return num_items_; }
  std::size_t num_codebooks() const { return num_codebooks_; }
  std::size_t memory() const { return bytes_.size(); }
  std::size_t num_blocks() const { return (num_items_ + kBlock - 1) / kBlock; }

  const std::uint8_t* block(std::size_t index) const {
    return bytes_.data() + index * kBlock * num_codebooks_;
  }

  // An item's code of book 0; those of the other books follow at distances of kBlock bytes.
  const std::uint8_t* item(std::size_t row) const { return bytes_.data() + offset(row); }

 private:
  std::size_t offset(std::size_t row) const { return row / kBlock * kBlock * num_codebooks_ + row % kBlock; }

  std::size_t num_items_, num_codebooks_;
  LargeArray<std::uint8_t> bytes_;
};

}  // namespace lightrec
