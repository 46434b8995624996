// One query of a BoundScan on its way.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "bound_filter.hpp"
#include "bound_scan.hpp"
#include "deficits.hpp"
#include "k_best.hpp"
#include "packed_codes.hpp"
#include "row_filter.hpp"

namespace lightrec {

inline constexpr float kNoBar = -std::numeric_limits<float>::infinity();

// (4, 256) entries by label; labels without a codeword get the least entry of their codebook.
class LabelledTable {
 public:
  LabelledTable(const float* table, std::size_t num_codewords, const Labels& labels) {
    for (std::size_t book = 0; book < kFourBooks; ++book) {
      const float* source = table + book * num_codewords;
      float* target = entries_ + book * Deficits::kWords;
      if (num_codewords < Deficits::kWords) {
        std::fill_n(target, Deficits::kWords, *std::min_element(source, source + num_codewords));
      }
      const std::uint8_t* label = labels[book].data();
      for (std::size_t word = 0; word < num_codewords; ++word) target[label[word]] = source[word];
    }
  }

  const float* entries() const { return entries_; }

 private:
  alignas(64) float entries_[kFourBooks * Deficits::kWords];
};

// What a query needs for a while; kept by its thread, so that queries do not allocate.
struct Scratch {
  std::vector<Hit> hits;
  std::vector<Run> runs;
  std::vector<std::uint32_t> places, words;
  std::vector<std::uint64_t> excluded, allowed;  // one bit a row, all clear between queries
  KBest best;
};

// The calling thread's.
Scratch& scratch();

// Sets the bits of rows for as long as it lives.
class MarkedRows {
 public:
  MarkedRows(std::vector<std::uint64_t>& bits, std::size_t num_items, Rows rows) : bits_(bits), rows_(rows) {
    if (rows_.size() == 0) return;
    if (bits_.size() * 64 < num_items) bits_.resize((num_items + 63) / 64);
    for (const std::int32_t* row = rows_.begin; row != rows_.end; ++row) word(*row) |= bit(*row);
  }
  ~MarkedRows() {
    for (const std::int32_t* row = rows_.begin; row != rows_.end; ++row) word(*row) &= ~bit(*row);
  }
  MarkedRows(const MarkedRows&) = delete;
  MarkedRows& operator=(const MarkedRows&) = delete;

  bool any() const { return rows_.size() > 0; }
  bool contains(std::size_t row) const { return (bits_[row / 64] >> (row % 64) & 1U) != 0; }

 private:
  std::uint64_t& word(std::int32_t row) { return bits_[static_cast<std::size_t>(row) / 64]; }
  static std::uint64_t bit(std::int32_t row) { return std::uint64_t{1} << (row % 64); }

  std::vector<std::uint64_t>& bits_;
  Rows rows_;
};

// Which rows a query may return.
class PermittedRows {
 public:
  PermittedRows(Scratch& scratch, std::size_t num_items, const RowFilter& filter)
      : excluded_(scratch.excluded, num_items, filter.excluded),
        allowed_(scratch.allowed, num_items, filter.allowed.value_or(Rows{})),
        only_allowed_(filter.allowed.has_value()),
        mask_(filter.mask) {}

  bool all() const { return !excluded_.any() && !only_allowed_ && mask_.words == nullptr; }
  bool contains(std::size_t row) const {
    return mask_.contains(row) && !(excluded_.any() && excluded_.contains(row)) &&
           (!only_allowed_ || (allowed_.any() && allowed_.contains(row)));
  }

 private:
  MarkedRows excluded_, allowed_;
  bool only_allowed_;
  RowMask mask_;
};

struct BoundScan::Query {
  Query(const LabelledTable& table, Scratch& memory, const PermittedRows& rows)
      : entries(table.entries()), deficits(table.entries()), permitted(rows), scratch(memory), best(memory.best) {}

  // Scores what passed the filter and keeps what reaches the bar. score(place, word): exact.
  template <typename Score>
  void score_hits(std::size_t num_hits, Score score);

  // Drops items that may not be returned, from the first on, and raises the bar where it can.
  void settle(std::size_t first);

  void raise_bar();

  const float* entries;
  Deficits deficits;
  int limit = Deficits::kLimit;
  std::size_t scored = 0;
  const PermittedRows& permitted;
  Scratch& scratch;
  KBest& best;
};

template <typename Score>
void BoundScan::Query::score_hits(std::size_t num_hits, Score score) {
  constexpr std::size_t kPlacesAtOnce = 2048;
  std::vector<std::uint32_t>&places = scratch.places, &words = scratch.words;
  if (places.size() < num_hits * kBlock) {
    places.resize(num_hits * kBlock);
    words.resize(num_hits * kBlock);
  }
  std::size_t num_places = 0;
  for (std::size_t h = 0; h < num_hits; ++h) {
    const Hit& hit = scratch.hits[h];
    for (std::uint64_t items = hit.items; items != 0; items &= items - 1) {
      places[num_places] = hit.first + static_cast<std::uint32_t>(__builtin_ctzll(items));
      words[num_places++] = hit.word;
    }
  }
  scored += num_places;
  for (std::size_t begin = 0; begin < num_places; begin += kPlacesAtOnce) {
    const std::size_t end = std::min(num_places, begin + kPlacesAtOnce);
    const std::size_t before = best.size();
    const float bar = best.bar();
    const KBest::Room room = best.room(end - begin);
    std::size_t count = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const float exact = score(places[i], words[i]);
      room.orders[count] = KBest::order_of(exact);
      room.items[count] = places[i];
      count += exact >= bar ? 1U : 0U;  // written always, kept when it counts: no branch to guess
    }
    best.keep(count);
    settle(before);
  }
}

}  // namespace lightrec
