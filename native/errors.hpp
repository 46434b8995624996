// The one error of the kernels; Python sees it as lightrec.errors.ArgumentError.
#pragma once

#include <stdexcept>

namespace lightrec {

struct ArgumentError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

}  // namespace lightrec
