// Eight-bit bounds of scores: the filter that decides which items are worth an exact score.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lightrec {

inline constexpr std::size_t kFourBooks = 4;  // codebooks of the catalogues that are scanned by bounds

// How far each entry of a (4, 256) score table lies below the largest of its codebook, in whole steps of
// which 250 lead from the best conceivable score down to a bar. Steps are rounded down, so an item whose
// score reaches the bar has deficits that add up to at most kLimit; no such item is ever lost. Those that
// pass without reaching it lie within four steps of the bar, about, and their exact scores tell.
//
// The limit is 251 and not 250 because sums and differences of floats are rounded: the range is widened by
// 1e-6 of the largest magnitudes, twice what the roundings of a score of eight numbers can amount to (five
// times for four), and one step covers the roundings of the deficits themselves.
class alignas(64) Deficits {
 public:
  static constexpr int kLimit = 251;
  static constexpr std::size_t kWords = 256;

  // entries: (4, 256), borrowed. Every entry counts, so those past the last codeword must be low. magnitude:
  // what the magnitudes of the numbers add up to that a score is the sum of, where these are not the entries.
  explicit Deficits(const float* entries, float magnitude = 0.0F);

  // Measures the deficits for a bar; one that every item reaches for the worst conceivable score.
  void quantise(float bar);

  // The limit for a bar above the one that was measured for.
  int limit(float bar) const;

  // The codewords of a book whose deficits are at most `limit`, least first; returns their number. words: (256,).
  std::size_t near_words(std::size_t book, int limit, std::uint8_t* words) const;

  // The sum of the codebooks' largest entries: no score lies above it, but for rounding.
  float best() const { return best_; }

  // The length of one step.
  float step() const { return 1.0F / steps_per_unit_; }

  const std::uint8_t* of(std::size_t book) const { return of_word_[book].data(); }  // (256,)

  // The lesser deficit of each two neighbouring codewords: (128,).
  const std::uint8_t* of_pair(std::size_t book) const { return of_pair_[book].data(); }

  // The least deficit of each four neighbouring codewords: (64,).
  const std::uint8_t* of_four(std::size_t book) const { return of_four_[book].data(); }

 private:
  float range(float bar) const;

  alignas(64) std::array<std::array<std::uint8_t, kWords>, kFourBooks> of_word_;
  alignas(64) std::array<std::array<std::uint8_t, kWords / 2>, kFourBooks> of_pair_;
  alignas(64) std::array<std::array<std::uint8_t, kWords / 4>, kFourBooks> of_four_;
  std::array<float, kFourBooks> largest_;
  float best_ = 0.0F, worst_ = 0.0F, magnitude_ = 0.0F, steps_per_unit_ = 0.0F;
  const float* entries_;
};

}  // namespace lightrec
