// A query's way through a catalogue that lies in tiles, the most promising ones first.
#pragma once

#include "bound_query.hpp"
#include "tile_order.hpp"

namespace lightrec {

// Keeps what reaches the bar of all items; the bar rises on the way, and tiles whose own bound fails are skipped.
void walk_tiles(BoundQuery& query, const TileOrder& order);

}  // namespace lightrec
