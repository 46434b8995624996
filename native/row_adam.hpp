// Adam for tables of vectors of which a step meets few rows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lightrec {

// A table (num_rows, width) and its moments, row-major. rows_seen: how many gradients each row has had; floats,
// as they are saved beside the moments.
struct RowAdamState {
  float* parameters;
  float* rows_seen;
  float* first;
  float* second;
  std::size_t width;
};

struct AdamRates {
  double learning_rate, fast, slow, epsilon;
};

// Moves each of `count` rows, none named twice, by its gradient (count, width). Whatever the threads, the
// results are the same.
void row_adam(const RowAdamState& state, const std::int64_t* rows, const float* gradients, std::size_t count,
              const AdamRates& rates, std::size_t threads);

}  // namespace lightrec
