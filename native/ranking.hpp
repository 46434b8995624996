// What a search returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lightrec {

// The best rows of one query, best first: score descending, row ascending.
struct Ranking {
  std::vector<std::int64_t> rows;
  std::vector<float> scores;
  std::size_t scored = 0;  // items of the catalogue whose exact scores were looked at to find them

  std::size_t size() const { return rows.size(); }
};

}  // namespace lightrec
