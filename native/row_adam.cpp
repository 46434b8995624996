#include "row_adam.hpp"

#include <algorithm>
#include <cmath>

#include "instruction_sets.hpp"
#include "parallel.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kRowsAtOnce = 256;

// Adam's rates in the form in which one row and step need them.
struct RowRates {
  float fast, rest_fast, slow, rest_slow, step, root_scale, epsilon;
};

RowRates rates_at(double seen, const AdamRates& rates) {
  const double unbiased_first = 1.0 - std::pow(rates.fast, seen);
  const double unbiased_second = 1.0 - std::pow(rates.slow, seen);
  return {static_cast<float>(rates.fast),
          static_cast<float>(1.0 - rates.fast),
          static_cast<float>(rates.slow),
          static_cast<float>(1.0 - rates.slow),
          static_cast<float>(rates.learning_rate / unbiased_first),
          static_cast<float>(1.0 / std::sqrt(unbiased_second)),
          static_cast<float>(rates.epsilon)};
}

// first and second moments m, v of gradient g, then x -= step m / (root_scale sqrt(v) + epsilon).
LIGHTREC_MULTIVERSIONED
void move_row(float* __restrict x, float* __restrict m, float* __restrict v, const float* __restrict g,
              std::size_t width, RowRates rates) {
  for (std::size_t j = 0; j < width; ++j) {
    const float first = rates.fast * m[j] + rates.rest_fast * g[j];
    const float second = rates.slow * v[j] + rates.rest_slow * g[j] * g[j];
    m[j] = first;
    v[j] = second;
    x[j] -= rates.step * first / (rates.root_scale * std::sqrt(second) + rates.epsilon);
  }
}

}  // namespace

void row_adam(const RowAdamState& state, const std::int64_t* rows, const float* gradients, std::size_t count,
              const AdamRates& rates, std::size_t threads) {
  parallel_for((count + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&](std::size_t piece) {
    const std::size_t end = std::min(count, (piece + 1) * kRowsAtOnce);
    for (std::size_t i = piece * kRowsAtOnce; i < end; ++i) {
      const auto row = static_cast<std::size_t>(rows[i]);
      const RowRates now = rates_at(double{state.rows_seen[row] += 1.0F}, rates);
      const std::size_t first = row * state.width;
      move_row(state.parameters + first, state.first + first, state.second + first,
               gradients + i * state.width, state.width, now);
    }
  });
}

}  // namespace lightrec
