// Eight floats of an array as one value, for loops that the compiler does not turn into vectors by itself.
#pragma once

#include "instruction_sets.hpp"

namespace lightrec {

// They may begin anywhere.
using Eight = float __attribute__((vector_size(32), aligned(4), may_alias));

LIGHTREC_INLINE const Eight& eight(const float* values) { return *reinterpret_cast<const Eight*>(values); }
LIGHTREC_INLINE Eight& eight(float* values) { return *reinterpret_cast<Eight*>(values); }

}  // namespace lightrec
