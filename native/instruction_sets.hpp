// How a kernel asks to be compiled for more than the baseline instruction set.
#pragma once

// A function marked so is compiled once for AVX2 and once for the baseline; the loader picks one. Neither
// set has fused multiply-add, so both round alike and answer bit for bit the same.
#ifdef LIGHTREC_HAS_TARGET_CLONES
#define LIGHTREC_MULTIVERSIONED __attribute__((target_clones("avx2", "default")))
#else
#define LIGHTREC_MULTIVERSIONED
#endif

// What a multiversioned function calls in its inner loop has to be inlined into each of its versions.
#define LIGHTREC_INLINE inline __attribute__((always_inline))
