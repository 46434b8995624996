// A score table as a scan by bounds reads it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "deficits.hpp"
#include "instruction_sets.hpp"
#include "packed_codes.hpp"

namespace lightrec {

// Which number each value of a byte has in the filters, so that neighbours are alike: (4, 256), a permutation
// of 0 .. 255 for every byte.
using Labels = std::array<std::array<std::uint8_t, 256>, kFourBooks>;

// A score table as the filters and the exact scores read it: (4, 256) entries by label. Of eight codebooks
// two share a byte: its entry is the sum of theirs, good enough for a bound; their own stand beside it,
// because an exact score is summed up one by one.
class LabelledTable {
 public:
  LabelledTable(const float* table, std::size_t num_codebooks, std::size_t num_codewords,
                const Labels& labels)
      : paired_(num_codebooks == 2 * kFourBooks) {
    for (std::size_t byte = 0; byte < kFourBooks; ++byte) {
      if (paired_) {
        fill_pair(table + 2 * byte * num_codewords, num_codewords, labels[byte].data(), byte * kWords);
      } else {
        fill(table + byte * num_codewords, num_codewords, labels[byte].data(), byte * kWords);
      }
    }
  }

  bool paired() const { return paired_; }
  const float* entries() const { return entries_; }
  float magnitude() const { return magnitude_; }

  // The score of the item with these labels.
  template <bool kPaired>
  LIGHTREC_INLINE float score(std::size_t a, std::size_t b, std::size_t c, std::size_t d) const {
    b += kWords;
    c += 2 * kWords;
    d += 3 * kWords;
    if constexpr (kPaired) {
      const float first_four = ((lows_[a] + highs_[a]) + lows_[b]) + highs_[b];
      return (((first_four + lows_[c]) + highs_[c]) + lows_[d]) + highs_[d];
    } else {
      return ((entries_[a] + entries_[b]) + entries_[c]) + entries_[d];
    }
  }

  // The score of an item of packed labels.
  template <bool kPaired>
  LIGHTREC_INLINE float score(const std::uint8_t* item) const {
    return score<kPaired>(item[0], item[kBlock], item[2 * kBlock], item[3 * kBlock]);
  }

 private:
  static constexpr std::size_t kWords = Deficits::kWords, kNibble = 16;

  // Labels without a codeword get the least entry of their codebook.
  void fill(const float* source, std::size_t num_codewords, const std::uint8_t* label, std::size_t first) {
    if (num_codewords < kWords) {
      std::fill_n(entries_ + first, kWords, *std::min_element(source, source + num_codewords));
    }
    for (std::size_t word = 0; word < num_codewords; ++word) entries_[first + label[word]] = source[word];
  }

  void fill_pair(const float* source, std::size_t num_codewords, const std::uint8_t* label,
                 std::size_t first) {
    float books[2][kNibble];
    for (float* book : {books[0], books[1]}) {
      std::copy_n(source, num_codewords, book);
      std::fill(book + num_codewords, book + kNibble, *std::min_element(source, source + num_codewords));
      const auto [least, largest] = std::minmax_element(book, book + kNibble);
      magnitude_ += std::max(std::fabs(*least), std::fabs(*largest));
      source += num_codewords;
    }
    for (std::size_t byte = 0; byte < kWords; ++byte) {
      const std::size_t place = first + label[byte];
      lows_[place] = books[0][byte % kNibble];
      highs_[place] = books[1][byte / kNibble];
      entries_[place] = lows_[place] + highs_[place];
    }
  }

  bool paired_;
  float magnitude_ = 0.0F;
  alignas(64) float entries_[kFourBooks * kWords];
  float lows_[kFourBooks * kWords], highs_[kFourBooks * kWords];  // set where books share a byte
};

}  // namespace lightrec
