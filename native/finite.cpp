#include "finite.hpp"

#include <cstdint>
#include <cstring>

#include "instruction_sets.hpp"

namespace lightrec {
namespace {

std::int32_t magnitude_bits(float value) {
  std::int32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits & 0x7fffffff;
}

}  // namespace

// Magnitudes of floats order as their bits do, with NaN above all; and integer maxima vectorise.
LIGHTREC_MULTIVERSIONED
bool all_within(const float* values, std::size_t count, float limit) {
  std::int32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bits &= 0x7fffffff;
    largest = largest < bits ? bits : largest;
  }
  return largest <= magnitude_bits(limit);
}

}  // namespace lightrec
