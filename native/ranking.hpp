// What a search returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lightrec {

// In which order results are wanted: best first, or any, which is cheaper where they are put in order by
// something else anyway.
enum class Order { kBestFirst, kAny };

// The best rows of one query. Best first means: score descending, row ascending.
struct Ranking {
  std::vector<std::int64_t> rows;
  std::vector<float> scores;
  std::size_t scored = 0;  // items of the catalogue whose exact scores were looked at to find them

  std::size_t size() const { return rows.size(); }
};

}  // namespace lightrec
