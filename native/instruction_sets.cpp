#include "instruction_sets.hpp"

namespace lightrec {

InstructionSet best_instruction_set() {
#if LIGHTREC_X86
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2")) return InstructionSet::kPortable;
  const bool vbmi = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
  return vbmi ? InstructionSet::kAvx512Vbmi : InstructionSet::kAvx2;
#else
  return InstructionSet::kPortable;
#endif
}

}  // namespace lightrec
