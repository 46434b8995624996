// Refusing values that are not finite, or so large that sums of them could overflow.
#pragma once

#include <cstddef>

namespace lightrec {

// Whether every |value| is at most `limit`. False where there is a NaN.
bool all_within(const float* values, std::size_t count, float limit);

}  // namespace lightrec
