// Memory asked for before it is read.
#pragma once

#include <cstddef>

#include "instruction_sets.hpp"

namespace lightrec {

inline constexpr std::size_t kLine = 64;  // bytes that come together

// As assembly, because compilers take a function that does nothing but __builtin_prefetch for one without effect:
// GCC 12 deletes calls of it.
LIGHTREC_INLINE void prefetch(const void* address) {
#if LIGHTREC_X86
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address);
#endif
}

}  // namespace lightrec
