#include "bound_filter.hpp"

#include "errors.hpp"

namespace lightrec {

const BoundFilter& bound_filter(InstructionSet set) {
#if LIGHTREC_X86
  if (set == InstructionSet::kAvx512Vbmi) return kAvx512Filter;
  if (set == InstructionSet::kAvx2) return kAvx2Filter;
#endif
  (void)set;
  throw ArgumentError("a scan by bounds needs AVX2 or AVX-512 VBMI");
}

}  // namespace lightrec
