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
                       const PermittedRows& rows)
    : table(labelled),
      deficits(labelled.entries(), labelled.magnitude()),
      choice(filter),
      permitted(rows),
      scratch(memory),
      best(memory.best) {}

void BoundQuery::start(std::size_t k, float bar, const std::uint32_t* row_of) {
  best.start(k, bar, row_of);
  deficits.quantise(bar);
  limit = Deficits::kLimit;
}

// Drops items that may not be returned, and raises the bar where it can. Of the items kept no more than the
// excluded ones can go: where these are few, more are kept instead, and which ones they are is asked of the
// best only, once these are many. To ask costs the row of an item, from anywhere.
void BoundQuery::settle() {
  if (!permitted.all_but_few()) {
    drop_forbidden();
    if (best.crowded()) raise_bar(best.wanted());
    return;
  }
  const std::size_t rank = best.wanted() + permitted.num_excluded();
  if (!best.crowded(rank)) return;
  raise_bar(rank);
  if (permitted.all()) return;
  drop_forbidden();
  if (best.size() > best.wanted() + best.wanted() / 8) raise_bar(best.wanted());
}

void BoundQuery::settle_rest() {
  if (!permitted.all_but_few() || permitted.all()) return;
  const std::size_t rank = best.wanted() + permitted.num_excluded();
  if (best.size() > rank) best.raise(rank);
  drop_forbidden();
}

void BoundQuery::drop_forbidden() {
  if (permitted.all_but_few()) {
    const HashedRows& few = permitted.few_excluded();
    best.filter([&](std::uint32_t row) { return !few.contains(row); });
  } else {
    best.filter([&](std::uint32_t row) { return permitted.contains(row); });
  }
}

void BoundQuery::raise_bar(std::size_t rank) {
  if (!best.raise(rank)) return;
  const int tighter = deficits.limit(best.bar());
  if (tighter < kCoarse || deficits.step() > std::numeric_limits<float>::max()) {
    deficits.quantise(best.bar());
    limit = Deficits::kLimit;
  } else {
    limit = std::min(limit, tighter);
  }
}

}  // namespace lightrec
