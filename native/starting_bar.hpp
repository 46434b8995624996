// A guess, before the scan, of a score that the k best rows exceed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "k_best.hpp"

namespace lightrec {

// Rows of a seeded sample of the catalogue, ascending; none where the catalogue is too small to gain by
// it. Rows are drawn at random because catalogues are often ordered by popularity: the first rows would
// promise too high a bar. A larger sample, up to `most` rows, gives a better bar and costs more.
std::vector<std::size_t> sample_rows(std::size_t num_items, std::size_t most = 4096);

// The rank in the sample whose score becomes the bar, so that at least `wanted` of the num_items rows
// exceed it almost surely; 0 where the sample is too small to say. A scan that ends with fewer rows than
// it wanted has to be repeated without a bar, so a bad guess costs time but never changes an answer.
std::size_t bar_rank(std::size_t wanted, std::size_t sample_size, std::size_t num_items);

// The bar: just below the worst of the best rows of the sample, of which there are as many as wanted.
float bar_below(const KBest& best_of_sample);

}  // namespace lightrec
