// The catalogue in tiles: up to 64 items that share their first codeword, and nearly their second.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bound_filter.hpp"
#include "large_pages.hpp"
#include "range_minima.hpp"

namespace lightrec {

// Four-book codes in the order of their first two codewords, rows ascending among equals; those of each first codeword
// begin a tile. The first codeword is that of the tile, the other three are planes of their own. Seven bytes an item,
// and 256 tiles that are half empty.
class TileOrder {
 public:
  static constexpr std::size_t kItems = 64;  // of a full tile

  // code_of(row, book) names codewords by the numbers that the filters know.
  template <typename CodeOf>
  TileOrder(std::size_t num_items, CodeOf code_of) {
    std::vector<std::uint32_t> places(kCodewords * kCodewords, 0);  // of the next item of each two codewords
    const auto place_of = [&](std::size_t row) -> std::uint32_t& {
      return places[std::size_t{code_of(row, 0)} << 8 | std::size_t{code_of(row, 1)}];
    };
    for (std::size_t row = 0; row < num_items; ++row) ++place_of(row);
    for (std::size_t word = 0; word < kCodewords; ++word) add_tiles_of(word, places.data() + (word << 8));
    starts_.push_back(static_cast<std::uint32_t>(num_tiles()));
    rows_.resize(kItems * num_tiles());
    for (auto& plane : planes_) plane.resize(kItems * num_tiles());
    for (std::size_t row = 0; row < num_items; ++row) {
      const std::uint32_t place = place_of(row)++;
      rows_[place] = static_cast<std::uint32_t>(row);
      for (std::size_t book = 1; book < kFourBooks; ++book) planes_[book - 1][place] = code_of(row, book);
    }
    for (std::size_t tile = 0; tile < num_tiles(); ++tile) {
      const std::uint8_t* seconds = planes_[0].data() + kItems * tile;
      const auto [low, high] = RangeMinima::range(seconds[0] / kGroup, seconds[counts_[tile] - 1U] / kGroup);
      lows_.push_back(low);
      highs_.push_back(high);
    }
    for (auto* ends : {&lows_, &highs_}) ends->resize(num_tiles() + kPadding);
  }

  std::size_t num_tiles() const { return words_.size(); }
  std::size_t memory() const { return 4 * (rows_.size() + starts_.size()) + 3 * planes_[0].size() + 4 * words_.size(); }

  // The tiles of this first codeword, up to those of the next.
  std::size_t start(std::size_t word) const { return starts_[word]; }

  Tiles tiles() const {
    const Planes planes{{planes_[0].data(), planes_[1].data(), planes_[2].data()}};
    return {planes, words_.data(), counts_.data(), lows_.data(), highs_.data()};
  }
  const std::uint32_t* rows() const { return rows_.data(); }

  // What the tiles' bounds are looked up in, given the deficits of book 1.
  static RangeMinima minima_of(const std::uint8_t* deficits) {
    std::array<std::uint8_t, RangeMinima::kNumbers> least;
    for (std::size_t group = 0; group < least.size(); ++group) {
      const std::uint8_t* first = deficits + kGroup * group;
      least[group] = first[0];
      for (std::size_t j = 1; j < kGroup; ++j) least[group] = std::min(least[group], first[j]);
    }
    return RangeMinima(least);
  }

 private:
  static constexpr std::size_t kCodewords = 256;
  static constexpr std::size_t kGroup = kCodewords / RangeMinima::kNumbers;  // second codewords that have one bound
  static constexpr std::size_t kPadding = 64;                               // filters read whole vectors

  // Makes tiles for the items of a first codeword. places: (256,); in: how many items each second codeword has, out: where
  // the first of them comes.
  void add_tiles_of(std::size_t word, std::uint32_t* places) {
    starts_.push_back(static_cast<std::uint32_t>(num_tiles()));
    const auto begin = static_cast<std::uint32_t>(kItems * num_tiles());
    std::uint32_t end = begin;
    for (std::size_t second = 0; second < kCodewords; ++second) {
      const std::uint32_t count = places[second];
      places[second] = end;
      end += count;
    }
    for (std::uint32_t first = begin; first < end; first += kItems) {
      words_.push_back(static_cast<std::uint8_t>(word));
      counts_.push_back(static_cast<std::uint8_t>(std::min<std::uint32_t>(end - first, kItems)));
    }
  }

  std::vector<std::uint32_t> starts_;
  std::vector<std::uint8_t> words_, counts_, lows_, highs_;
  LargeArray<std::uint32_t> rows_;
  LargeArray<std::uint8_t> planes_[3];
};

}  // namespace lightrec
