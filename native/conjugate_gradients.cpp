#include "conjugate_gradients.hpp"

#include "instruction_sets.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kSums = 8;  // independent sums of a dot product: whole vector registers

}  // namespace

LIGHTREC_MULTIVERSIONED
double dot(const float* x, const float* y, std::size_t size) {
  double sums[kSums] = {};
  std::size_t i = 0;
  for (; i + kSums <= size; i += kSums) {
    for (std::size_t j = 0; j < kSums; ++j) {
      sums[j] += static_cast<double>(x[i + j]) * static_cast<double>(y[i + j]);
    }
  }
  double sum = 0.0;
  for (const double part : sums) sum += part;
  for (; i < size; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return sum;
}

LIGHTREC_MULTIVERSIONED
void add_scaled(const float* x, float factor, std::size_t size, float* sum) {
  for (std::size_t i = 0; i < size; ++i) sum[i] += factor * x[i];
}

LIGHTREC_MULTIVERSIONED
void scale(const float* x, float factor, std::size_t size, float* scaled) {
  for (std::size_t i = 0; i < size; ++i) scaled[i] = factor * x[i];
}

LIGHTREC_MULTIVERSIONED
void divide(const float* x, const float* y, std::size_t size, float* quotient) {
  for (std::size_t i = 0; i < size; ++i) quotient[i] = x[i] / y[i];
}

LIGHTREC_MULTIVERSIONED
void turn(const float* preconditioned, float factor, std::size_t size, float* direction) {
  for (std::size_t i = 0; i < size; ++i) direction[i] = preconditioned[i] + factor * direction[i];
}

}  // namespace lightrec
