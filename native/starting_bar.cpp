#include "starting_bar.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace lightrec {
namespace {

constexpr std::size_t kItemsPerSample = 16;  // a sample costs at most this part of the scan
constexpr std::size_t kSmallestSample = 128;

}  // namespace

std::vector<std::size_t> sample_rows(std::size_t num_items, std::size_t most) {
  const std::size_t size = std::min(most, num_items / kItemsPerSample);
  if (size < kSmallestSample) return {};
  std::vector<std::size_t> rows(size);
  std::mt19937_64 random(20190519);         // any fixed seed
  for (std::size_t i = 0; i < size; ++i) {  // one row from each of `size` equal parts
    const std::size_t begin = i * num_items / size, end = (i + 1) * num_items / size;
    rows[i] = begin + random() % (end - begin);
  }
  return rows;
}

std::size_t bar_rank(std::size_t wanted, std::size_t sample_size, std::size_t num_items) {
  if (sample_size == 0) return 0;
  const double expected =
      static_cast<double>(wanted) * static_cast<double>(sample_size) / static_cast<double>(num_items);
  // The number of wanted rows in the sample is close to Poisson: 3.5 standard deviations above.
  const double rank = std::ceil(expected + 3.5 * std::sqrt(expected) + 3.0);
  return rank > static_cast<double>(sample_size) ? 0 : static_cast<std::size_t>(rank);
}

float bar_below(const KBest& best_of_sample) {
  const float worst = float_of(best_of_sample.order_with_rank(best_of_sample.wanted()));
  return std::nextafter(worst, -std::numeric_limits<float>::infinity());
}

}  // namespace lightrec
