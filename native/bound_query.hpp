// One query of a BoundScan on its way.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bound_filter.hpp"
#include "bound_scan.hpp"
#include "deficits.hpp"
#include "instruction_sets.hpp"
#include "k_best.hpp"
#include "packed_codes.hpp"
#include "permitted_rows.hpp"

namespace lightrec {

// A score table as the filters and the exact scores read it: (4, 256) entries by label. Of eight codebooks two
// share a byte: its entry is the sum of theirs, good enough for a bound; their own stand beside it, because an
// exact score is summed up one by one.
class LabelledTable {
 public:
  LabelledTable(const float* table, std::size_t num_codebooks, std::size_t num_codewords, const Labels& labels)
      : paired_(num_codebooks == 2 * kFourBooks) {
    for (std::size_t byte = 0; byte < kFourBooks; ++byte) {
      if (paired_) {
        fill_pair(table + 2 * byte * num_codewords, num_codewords, labels[byte].data(), byte * kWords);
      } else {
        fill(table + byte * num_codewords, num_codewords, labels[byte].data(), byte * kWords);
      }
    }
  }

  bool paired() const { return paired_; }
  const float* entries() const { return entries_; }
  float magnitude() const { return magnitude_; }

  // The score of the item with these labels.
  template <bool kPaired>
  LIGHTREC_INLINE float score(std::size_t a, std::size_t b, std::size_t c, std::size_t d) const {
    b += kWords;
    c += 2 * kWords;
    d += 3 * kWords;
    if constexpr (kPaired) {
      const float first_four = ((lows_[a] + highs_[a]) + lows_[b]) + highs_[b];
      return (((first_four + lows_[c]) + highs_[c]) + lows_[d]) + highs_[d];
    } else {
      return ((entries_[a] + entries_[b]) + entries_[c]) + entries_[d];
    }
  }

 private:
  static constexpr std::size_t kWords = Deficits::kWords, kNibble = 16;

  // Labels without a codeword get the least entry of their codebook.
  void fill(const float* source, std::size_t num_codewords, const std::uint8_t* label, std::size_t first) {
    if (num_codewords < kWords) {
      std::fill_n(entries_ + first, kWords, *std::min_element(source, source + num_codewords));
    }
    for (std::size_t word = 0; word < num_codewords; ++word) entries_[first + label[word]] = source[word];
  }

  void fill_pair(const float* source, std::size_t num_codewords, const std::uint8_t* label, std::size_t first) {
    float books[2][kNibble];
    for (float* book : {books[0], books[1]}) {
      std::copy_n(source, num_codewords, book);
      std::fill(book + num_codewords, book + kNibble, *std::min_element(source, source + num_codewords));
      const auto [least, largest] = std::minmax_element(book, book + kNibble);
      magnitude_ += std::max(std::fabs(*least), std::fabs(*largest));
      source += num_codewords;
    }
    for (std::size_t byte = 0; byte < kWords; ++byte) {
      const std::size_t place = first + label[byte];
      lows_[place] = books[0][byte % kNibble];
      highs_[place] = books[1][byte / kNibble];
      entries_[place] = lows_[place] + highs_[place];
    }
  }

  bool paired_;
  float magnitude_ = 0.0F;
  alignas(64) float entries_[kFourBooks * kWords];
  float lows_[kFourBooks * kWords], highs_[kFourBooks * kWords];  // set where books share a byte
};

// What a query needs for a while; kept by its thread, so that queries do not allocate.
struct Scratch {
  std::vector<Hit> hits;
  std::vector<Run> runs;
  std::vector<std::uint32_t> places, words;
  RowBits excluded, allowed;
  KBest best;
};

// The calling thread's.
Scratch& scratch();

struct BoundScan::Query {
  Query(const LabelledTable& labelled, const BoundFilter& filter, Scratch& memory, const PermittedRows& rows)
      : table(labelled),
        deficits(labelled.entries(), labelled.magnitude()),
        choice(filter),
        permitted(rows),
        scratch(memory),
        best(memory.best) {}

  // Scores what passed the filter and keeps what reaches the bar. score(place, word): exact.
  template <typename Score>
  void score_hits(std::size_t num_hits, Score score);

  // Drops items that may not be returned, and raises the bar where it can.
  void settle();

  // Drops what has been left for later, so that all that is kept may be returned.
  void settle_rest();

  void drop_forbidden();
  void raise_bar(std::size_t rank);

  const LabelledTable& table;
  Deficits deficits;
  FilterChoice choice;
  int limit = Deficits::kLimit;
  std::size_t scored = 0;
  const PermittedRows& permitted;
  Scratch& scratch;
  KBest& best;
};

template <typename Score>
void BoundScan::Query::score_hits(std::size_t num_hits, Score score) {
  constexpr std::size_t kPlacesAtOnce = 2048;
  constexpr std::uint64_t kLast = std::uint64_t{1} << 63;
  std::vector<std::uint32_t>&places = scratch.places, &words = scratch.words;
  if (places.size() < num_hits * kBlock + 4) {
    places.resize(num_hits * kBlock + 4);
    words.resize(num_hits * kBlock + 4);
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
