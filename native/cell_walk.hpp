// A query's way through a catalogue that lies in cells, the most promising ones first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bound_query.hpp"
#include "cell_order.hpp"

namespace lightrec {

// Keeps what reaches the bar of all items; the bar rises on the way, and cells whose own bound fails are
// skipped. runs: those that the filter is asked for.
void walk_cells(BoundQuery& query, const CellOrder& cells, RunFilter BoundFilter::* runs);

// The same of the items whose first codeword is one of these, which come in the order given.
void walk_cells_of(BoundQuery& query, const CellOrder& cells, RunFilter BoundFilter::* runs,
                   const std::uint8_t* words, std::size_t count);

}  // namespace lightrec
