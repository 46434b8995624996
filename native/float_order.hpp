// Floats as integers that order as the floats do.
#pragma once

#include <cstdint>
#include <cstring>

namespace lightrec {

// Of two floats the greater has the greater integer; -0.0 becomes 0.0, which it is equal to. Not for NaN.
inline std::int32_t order_of(float value) {
  value += 0.0F;
  std::int32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits ^ ((bits >> 31) & 0x7FFFFFFF);
}

inline float float_of(std::int32_t order) {
  const std::int32_t bits = order ^ ((order >> 31) & 0x7FFFFFFF);
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace lightrec
