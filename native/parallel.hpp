// Independent pieces of work on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace lightrec {

// Calls work(piece) for every piece in [0, num_pieces), on at most `threads` threads (the calling one
// included; 0 counts as 1). Pieces are handed out as threads become free, so they must not depend on
// each other; then results do not depend on the number of threads. The first exception that a piece
// throws is thrown again here, after all threads have stopped.
void parallel_for(std::size_t num_pieces, std::size_t threads, const std::function<void(std::size_t)>& work);

// Of so many threads, those worth starting for some microseconds of work: that takes some ten microseconds each.
std::size_t worthwhile(std::size_t threads, std::size_t microseconds);

}  // namespace lightrec
