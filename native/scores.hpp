// Every item's score, for evaluation and for scoring given candidates.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lightrec {

// codes: (num_items, num_codebooks), every code below num_codewords; tables: (num_queries, num_codebooks,
// num_codewords); scores: (num_queries, num_items); all row-major. A score is
// ((t[0][c0] + t[1][c1]) + t[2][c2]) + ..., every sum rounded to float.
void score_items(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
                 const float* tables, std::size_t num_queries, std::size_t num_codewords, std::size_t threads,
                 float* scores);

}  // namespace lightrec
