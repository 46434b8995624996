// Small symmetric positive definite systems, solved without a matrix.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace lightrec {

// Float data; the products that steer the solver are summed in double.
double dot(const float* x, const float* y, std::size_t size);
void add_scaled(const float* x, float factor, std::size_t size, float* sum);
void scale(const float* x, float factor, std::size_t size, float* scaled);
void divide(const float* x, const float* y, std::size_t size, float* quotient);
// direction = preconditioned + factor * direction
void turn(const float* preconditioned, float factor, std::size_t size, float* direction);

// Jacobi-preconditioned conjugate gradients from zero; working space for one system after another.
class ConjugateGradients {
 public:
  explicit ConjugateGradients(std::size_t size)
      : size_(size),
        diagonal_(size),
        residual_(size),
        solution_(size),
        preconditioned_(size),
        direction_(size),
        applied_(size) {}

  // To be filled before solve(): the diagonal of the system, and its right-hand side.
  float* diagonal() { return diagonal_.data(); }
  float* right_side() { return residual_.data(); }

  // apply(x, y) sets y to the system's product with x.
  template <typename Apply>
  const float* solve(const Apply& apply) {
    std::fill(solution_.begin(), solution_.end(), 0.0F);
    double left = precondition();
    const double enough = kTolerance * left;
    direction_ = preconditioned_;
    for (std::size_t step = 0; step < kMostSteps && left > enough; ++step) {
      apply(direction_.data(), applied_.data());
      const auto length = static_cast<float>(left / dot(direction_.data(), applied_.data(), size_));
      add_scaled(direction_.data(), length, size_, solution_.data());
      add_scaled(applied_.data(), -length, size_, residual_.data());
      const double before = left;
      left = precondition();
      turn(preconditioned_.data(), static_cast<float>(left / before), size_, direction_.data());
    }
    return solution_.data();
  }

 private:
  double precondition() {
    divide(residual_.data(), diagonal_.data(), size_, preconditioned_.data());
    return dot(residual_.data(), preconditioned_.data(), size_);
  }

  static constexpr std::size_t kMostSteps = 30;
  static constexpr double kTolerance = 1e-6;  // of the preconditioned squared residual, to the first

  std::size_t size_;
  std::vector<float> diagonal_, residual_, solution_, preconditioned_, direction_, applied_;
};

}  // namespace lightrec
