// Floats as integers that order as the floats do.
#pragma once

#include <cstdint>
#include <cstring>

namespace lightrec {

inline constexpr std::uint32_t kSignBit = 0x80000000U;

// Unsigned integers in the order of the floats; -0.0 becomes 0.0, which it is equal to. Not for NaN.
inline std::uint32_t order_of(float value) {
  value += 0.0F;
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits & kSignBit) != 0 ? ~bits : bits | kSignBit;
}

inline float float_of(std::uint32_t order) {
  const std::uint32_t bits = (order & kSignBit) != 0 ? order & ~kSignBit : ~order;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace lightrec
