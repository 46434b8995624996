#include "deficits.hpp"

#include <algorithm>
#include <cmath>

#include "eight_floats.hpp"
#include "instruction_sets.hpp"

namespace lightrec {
namespace {

constexpr float kSteps = 250.0F;         // from the best conceivable score to the bar
constexpr float kRounding = 1e-6F;       // of the magnitudes
constexpr float kSmallestRange = 1e-30F;  // keeps the number of steps in a unit finite

struct Extremes {
  float largest, smallest;
};

LIGHTREC_MULTIVERSIONED
Extremes extremes_of(const float* entries) {
  Eight high[2] = {eight(entries), eight(entries + 8)}, low[2] = {high[0], high[1]};
  for (std::size_t word = 16; word < Deficits::kWords; word += 16) {
    for (std::size_t half = 0; half < 2; ++half) {
      const Eight& entry = eight(entries + word + 8 * half);
      high[half] = high[half] > entry ? high[half] : entry;
      low[half] = low[half] < entry ? low[half] : entry;
    }
  }
  Extremes found{high[0][0], low[0][0]};
  for (std::size_t half = 0; half < 2; ++half) {
    for (int j = 0; j < 8; ++j) {
      found.largest = std::max<float>(found.largest, high[half][j]);
      found.smallest = std::min<float>(found.smallest, low[half][j]);
    }
  }
  return found;
}

LIGHTREC_MULTIVERSIONED
void measure(const float* entries, float largest, float steps_per_unit, std::uint8_t* deficits) {
  for (std::size_t word = 0; word < Deficits::kWords; ++word) {
    const float steps = (largest - entries[word]) * steps_per_unit;
    deficits[word] = static_cast<std::uint8_t>(static_cast<std::int32_t>(steps < 255.0F ? steps : 255.0F));
  }
}

LIGHTREC_MULTIVERSIONED
void lesser_of_pairs(const std::uint8_t* values, std::size_t count, std::uint8_t* lesser) {
  for (std::size_t i = 0; i < count; ++i) lesser[i] = std::min(values[2 * i], values[2 * i + 1]);
}

}  // namespace

Deficits::Deficits(const float* entries, float magnitude) : magnitude_(magnitude), entries_(entries) {
  for (std::size_t book = 0; book < kFourBooks; ++book) {
    const Extremes found = extremes_of(entries + book * kWords);
    largest_[book] = found.largest;
    best_ += found.largest;
    worst_ += found.smallest;
    magnitude_ += std::max(std::fabs(found.largest), std::fabs(found.smallest));
  }
}

float Deficits::range(float bar) const {
  return std::max(best_ - std::max(bar, worst_), 0.0F) + (kRounding * magnitude_ + kSmallestRange);
}

void Deficits::quantise(float bar) {
  steps_per_unit_ = kSteps / range(bar);
  for (std::size_t book = 0; book < kFourBooks; ++book) {
    std::uint8_t* words = of_word_[book].data();
    measure(entries_ + book * kWords, largest_[book], steps_per_unit_, words);
    lesser_of_pairs(words, kWords / 2, of_pair_[book].data());
    lesser_of_pairs(of_pair_[book].data(), kWords / 4, of_four_[book].data());
  }
}

std::size_t Deficits::near_words(std::size_t book, int limit, std::uint8_t* words) const {
  const std::uint8_t* deficits = of(book);
  std::uint8_t near[kWords];
  std::size_t count = 0;
  for (std::size_t word = 0; word < kWords; ++word) {
    near[count] = static_cast<std::uint8_t>(word);
    count += deficits[word] <= limit ? 1U : 0U;
  }
  std::uint16_t starts[kWords + 1] = {};
  for (std::size_t i = 0; i < count; ++i) ++starts[deficits[near[i]] + 1];
  for (std::size_t i = 0; i < kWords; ++i) starts[i + 1] = static_cast<std::uint16_t>(starts[i + 1] + starts[i]);
  for (std::size_t i = 0; i < count; ++i) words[starts[deficits[near[i]]]++] = near[i];
  return count;
}

int Deficits::limit(float bar) const {
  const float steps = range(bar) * steps_per_unit_;
  return steps < kSteps ? static_cast<int>(steps) + 1 : kLimit;
}

}  // namespace lightrec
