// One query of a BoundScan on its way: its bar, its deficits, and the best items so far.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bound_filter.hpp"
#include "deficits.hpp"
#include "excluded_rows.hpp"
#include "k_best.hpp"
#include "labelled_table.hpp"
#include "packed_codes.hpp"
#include "permitted_rows.hpp"

namespace lightrec {

// What a query needs for a while; kept by its thread, so that queries do not allocate.
struct Scratch {
  std::vector<Hit> hits;
  std::vector<Run> runs;
  std::vector<std::uint32_t> tiles;
  std::vector<std::uint32_t> places, words;
  RowBits marked, allowed;
  ExcludedRows::Memory excluded;
  KBest best;
};

// The calling thread's.
Scratch& scratch();

struct BoundQuery {
  BoundQuery(const LabelledTable& labelled, const BoundFilter& filter, Scratch& memory,
             const PermittedRows& may_return, const ExcludedRows& may_not);

  // Begins a pass: nothing is kept, items below `bar` are not wanted. row_of: the row of each place, or null.
  void start(std::size_t k, float bar, const std::uint32_t* row_of);

  // Scores what passed the filter, the first of the scratch's hits, and keeps what reaches the bar.
  // score(place, word): exact.
  template <typename Score>
  void score_hits(std::size_t num_hits, Score score);

  // The same of items that lie in planes.
  void score_hits(std::size_t num_hits, const Planes& planes);

  const LabelledTable& table;
  Deficits deficits;
  FilterChoice choice;
  int limit = Deficits::kLimit;  // what the deficits of an item that reaches the bar add up to at most
  std::size_t scored = 0;
  const PermittedRows& permitted;
  const ExcludedRows& excluded;
  Scratch& scratch;
  KBest& best;

 private:
  void settle();
  void raise_bar();
};

template <typename Score>
void BoundQuery::score_hits(std::size_t num_hits, Score score) {
  constexpr std::size_t kPlacesAtOnce = 2048;
  constexpr std::uint64_t kLast = std::uint64_t{1} << 63;
  std::vector<std::uint32_t>&places = scratch.places, &words = scratch.words;
  if (places.size() < num_hits * kBlock + 4) {
    words.resize(num_hits * kBlock + 4);
    places.resize(num_hits * kBlock + 4);  // last, as its size is asked for: memory may end between the two
  }
  std::size_t num_places = 0;
  for (std::size_t h = 0; h < num_hits; ++h) {
    const Hit& hit = scratch.hits[h];
    std::uint64_t items = hit.items;
    do {  // four at once, wanted or not: how many there are nobody can predict
      for (std::size_t j = 0; j < 4; ++j) {
        places[num_places] = hit.first + static_cast<std::uint32_t>(__builtin_ctzll(items | kLast));
        words[num_places] = hit.word;
        num_places += items != 0 ? 1U : 0U;
        items &= items - 1;
      }
    } while (items != 0);
  }
  scored += num_places;
  for (std::size_t begin = 0; begin < num_places; begin += kPlacesAtOnce) {
    const std::size_t end = std::min(num_places, begin + kPlacesAtOnce);
    const float bar = best.bar();
    const KBest::Room room = best.room(end - begin);
    std::size_t count = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const float exact = score(places[i], words[i]);
      room.orders[count] = order_of(exact);
      room.items[count] = places[i];
      count += exact >= bar ? 1U : 0U;  // written always, kept when it counts: no branch to guess
    }
    best.keep(count);
    settle();
  }
}

}  // namespace lightrec
