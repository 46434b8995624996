// The rows that a query must not return, where they are few.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "float_order.hpp"
#include "k_best.hpp"
#include "row_filter.hpp"

namespace lightrec {

// To ask of every item that is kept whether it is excluded would cost the row of each, from anywhere. But the scores of
// the excluded rows can be known beforehand, and tell how many of them reach a bar: they are kept like all others, and
// so many items more, until at the end the few that are left are dropped (KBest).
class ExcludedRows {
 public:
  // What a thread keeps for them between queries.
  struct Memory {
    std::vector<std::int32_t> orders;
    std::vector<std::uint32_t> rows;
  };

  // Of more than these the scores cost more than a bit for every row does (permitted_rows.hpp).
  static bool are_few(Rows rows) { return rows.size() <= 128; }

  // None.
  explicit ExcludedRows(Memory& memory) : memory_(memory) {
    memory_.orders.clear();
    memory_.rows.clear();
  }

  // score(row): exact.
  template <typename Score>
  ExcludedRows(Memory& memory, Rows rows, Score score) : memory_(memory) {
    memory_.orders.resize(rows.size());
    memory_.rows.assign(rows.begin, rows.end);
    for (std::size_t i = 0; i < rows.size(); ++i) memory_.orders[i] = order_of(score(rows.begin[i]));
  }

  std::size_t size() const { return memory_.rows.size(); }
  ScoredRows with_scores() const { return {memory_.orders.data(), memory_.rows.data(), size()}; }

 private:
  Memory& memory_;
};

}  // namespace lightrec
