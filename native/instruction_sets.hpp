// Which instructions this processor has, and how a kernel asks to be compiled for them.
#pragma once

namespace lightrec {

// What a scan may use beyond plain C++. The order is that of speed.
enum class InstructionSet { kPortable, kAvx2, kAvx512Vbmi };

// The fastest one that this processor has and this build knows.
InstructionSet best_instruction_set();

// Whether this processor has F16C, the conversions of half floats.
bool converts_half_floats();

}  // namespace lightrec

// A function marked so is compiled once for AVX2 and once for the baseline; the loader picks one. Neither
// set has fused multiply-add, so both round alike and answer bit for bit the same.
#ifdef LIGHTREC_HAS_TARGET_CLONES
#define LIGHTREC_MULTIVERSIONED __attribute__((target_clones("avx2", "default")))
#else
#define LIGHTREC_MULTIVERSIONED
#endif

// What a multiversioned function calls in its inner loop has to be inlined into each of its versions.
#define LIGHTREC_INLINE inline __attribute__((always_inline))

// Kernels in intrinsics carry these attributes. best_instruction_set() asks for all that they name.
#if defined(__x86_64__) && defined(__GNUC__)
#define LIGHTREC_X86 1
#define LIGHTREC_AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define LIGHTREC_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")))
#else
#define LIGHTREC_X86 0
#endif
