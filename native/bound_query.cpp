#include "bound_query.hpp"

#include <algorithm>
#include <limits>

namespace lightrec {
namespace {

constexpr int kCoarse = 200;  // a bar that leaves fewer steps than this is worth new deficits

}  // namespace

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

BoundQuery::BoundQuery(const LabelledTable& labelled, const BoundFilter& filter, Scratch& memory,
                       const PermittedRows& may_return, const ExcludedRows& may_not)
    : table(labelled),
      deficits(labelled.entries(), labelled.magnitude()),
      choice(filter),
      permitted(may_return),
      excluded(may_not),
      scratch(memory),
      best(memory.best) {}

void BoundQuery::start(std::size_t k, float bar, const std::uint32_t* row_of) {
  best.start(k, bar, row_of, excluded.with_scores());
  deficits.quantise(bar);
  limit = Deficits::kLimit;
}

void BoundQuery::score_hits(std::size_t num_hits, const Planes& planes) {
  const auto* const* of_book = planes.of_book;
  if (table.paired()) {
    score_hits(num_hits, [&](std::uint32_t place, std::uint32_t word) {
      return table.score<true>(word, of_book[0][place], of_book[1][place], of_book[2][place]);
    });
  } else {
    score_hits(num_hits, [&](std::uint32_t place, std::uint32_t word) {
      return table.score<false>(word, of_book[0][place], of_book[1][place], of_book[2][place]);
    });
  }
}

// Drops what a list or a mask does not permit, and raises the bar where it can.
void BoundQuery::settle() {
  if (!permitted.all()) best.filter([&](std::uint32_t row) { return permitted.contains(row); });
  if (best.crowded()) raise_bar();
}

void BoundQuery::raise_bar() {
  if (!best.raise()) return;
  const int tighter = deficits.limit(best.bar());
  if (tighter < kCoarse || deficits.step() > std::numeric_limits<float>::max()) {
    deficits.quantise(best.bar());
    limit = Deficits::kLimit;
  } else {
    limit = std::min(limit, tighter);
  }
}

}  // namespace lightrec
