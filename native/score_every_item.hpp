// Every item scored, in plain C++, and kept where it may be among the best.
#pragma once

#include <cstddef>

#include "eight_queries.hpp"
#include "k_best.hpp"
#include "packed_codes.hpp"
#include "row_filter.hpp"

namespace lightrec {

// table: (num_codebooks, 256). Keeps every item that scores above the bar of `best` and is not excluded.
void score_every_item(const PackedCodes& codes, const float* table, Rows excluded, KBest& best);

// The same for eight queries at once; `excluded` and `best` hold `count` <= 8 entries, one for each query.
void score_every_item_for_eight(const PackedCodes& codes, const EightTables& tables, std::size_t count,
                                const Rows* excluded, KBest* best);

// The same for listed rows only.
void score_listed_items(const PackedCodes& codes, const float* table, Rows listed, Rows excluded, KBest& best);

}  // namespace lightrec
