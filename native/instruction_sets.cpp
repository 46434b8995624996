#include "instruction_sets.hpp"

#if LIGHTREC_X86
#include <cpuid.h>
#endif

namespace lightrec {

InstructionSet best_instruction_set() {
#if LIGHTREC_X86
  __builtin_cpu_init();
  // A virtual machine may hide any of them, so each is asked for that the kernels are compiled with.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
  if (!avx2) return InstructionSet::kPortable;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
  return avx512 ? InstructionSet::kAvx512Vbmi : InstructionSet::kAvx2;
#else
  return InstructionSet::kPortable;
#endif
}

bool converts_half_floats() {
#if LIGHTREC_X86
  __builtin_cpu_init();
  unsigned a, b, c, d;
  // Older compilers know no name for F16C; AVX tells that the system keeps its registers.
  return __builtin_cpu_supports("avx") && __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
#else
  return false;
#endif
}

}  // namespace lightrec
