// A query's way through a catalogue that lies in blocks, in the order of its rows.
#pragma once

#include <cstddef>

#include "bound_query.hpp"
#include "packed_codes.hpp"

namespace lightrec {

// Keeps what reaches the bar of all items, which lie four labels each; the bar rises on the way.
void walk_blocks(BoundQuery& query, const PackedCodes& items);

// The blocks [begin, end) in one go.
void score_blocks(BoundQuery& query, const PackedCodes& items, std::size_t begin, std::size_t end);

}  // namespace lightrec
