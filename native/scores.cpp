#include "scores.hpp"

#include <algorithm>

#include "eight_queries.hpp"
#include "instruction_sets.hpp"
#include "parallel.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kTile = 16;  // items whose eight scores are gathered before they are written out

// Scores of eight queries; row q of `scores` starts at scores + q * row_stride, rows_wanted rows are written.
LIGHTREC_INLINE void score_eight(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
                                 const Lanes* entries, std::size_t row_stride, std::size_t rows_wanted,
                                 float* scores) {
  for (std::size_t first = 0; first < num_items; first += kTile) {
    const std::size_t count = std::min(kTile, num_items - first);
    Lanes tile[kTile];
    for (std::size_t j = 0; j < count; ++j) {
      score_item(entries, codes + (first + j) * num_codebooks, 1, num_codebooks, tile[j]);
    }
    for (std::size_t row = 0; row < rows_wanted; ++row) {
      float* out = scores + row * row_stride + first;
      for (std::size_t j = 0; j < count; ++j) out[j] = tile[j].value[row];
    }
  }
}

LIGHTREC_MULTIVERSIONED
void score_eight_four_books(const std::uint8_t* codes, std::size_t num_items, const Lanes* entries,
                            std::size_t row_stride, std::size_t rows_wanted, float* scores) {
  score_eight(codes, num_items, 4, entries, row_stride, rows_wanted, scores);
}

LIGHTREC_MULTIVERSIONED
void score_eight_any_books(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
                           const Lanes* entries, std::size_t row_stride, std::size_t rows_wanted,
                           float* scores) {
  score_eight(codes, num_items, num_codebooks, entries, row_stride, rows_wanted, scores);
}

LIGHTREC_INLINE void score_one(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
                               const float* table, std::size_t num_codewords, float* scores) {
  for (std::size_t i = 0; i < num_items; ++i) {
    const std::uint8_t* code = codes + i * num_codebooks;
    float score = table[code[0]];
    for (std::size_t b = 1; b < num_codebooks; ++b) score += table[b * num_codewords + code[b]];
    scores[i] = score;
  }
}

}  // namespace

void score_items(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
                 const float* tables, std::size_t num_queries, std::size_t num_codewords, std::size_t threads,
                 float* scores) {
  if (num_queries == 1) {  // interleaving would be wasted on it
    if (num_codebooks == 4) {
      score_one(codes, num_items, 4, tables, num_codewords, scores);
    } else {
      score_one(codes, num_items, num_codebooks, tables, num_codewords, scores);
    }
    return;
  }
  parallel_for((num_queries + kQueries - 1) / kQueries, threads, [&](std::size_t group) {
    const std::size_t first = group * kQueries;
    const std::size_t count = std::min(kQueries, num_queries - first);
    EightTables eight(num_codebooks);
    eight.load(tables + first * num_codebooks * num_codewords, count, num_codewords);
    float* rows = scores + first * num_items;
    if (num_codebooks == 4) {
      score_eight_four_books(codes, num_items, eight.entries(), num_items, count, rows);
    } else {
      score_eight_any_books(codes, num_items, num_codebooks, eight.entries(), num_items, count, rows);
    }
  });
}

}  // namespace lightrec
