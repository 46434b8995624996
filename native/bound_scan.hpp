// Exact top-k by eight-bit bounds: a filter of a few instructions an item, and exact scores for what passes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "bound_filter.hpp"
#include "bound_query.hpp"
#include "cell_order.hpp"
#include "labelled_table.hpp"
#include "packed_codes.hpp"
#include "ranking.hpp"
#include "row_filter.hpp"
#include "scan.hpp"
#include "tile_order.hpp"

namespace lightrec {

// How a catalogue lies in memory. Flat: in the order of its rows, four bytes an item, all of them read by every query.
// Tiles and cells: seven bytes an item, and whole ones are skipped when their own bound fails. A tile holds up to 64
// items, which suits catalogues whose cells are small; not every instruction set has a filter of them.
enum class Layout { kFlat, kTiles, kCells };

// Catalogues of four bytes an item: four codebooks, or eight of sixteen codewords, of which two share a byte
// (the first the low half). Safe to use from several threads.
class BoundScan final : public Scan {
 public:
  // codes: (num_items, num_codebooks), row-major, borrowed for the life of the scan, which reads them for lists of
  // allowed rows, and to score few excluded ones: they must not change.
  BoundScan(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
            std::size_t num_codewords, const Labels& labels, InstructionSet set, Layout layout);

  Ranking top_k(const float* table, std::size_t k, const RowFilter& filter, Order order) const override;
  std::size_t memory() const override;
  Layout layout() const { return cells_ ? Layout::kCells : tiles_ ? Layout::kTiles : Layout::kFlat; }

  // The k best rows among those whose first codeword is one of the `nprobe` with the largest entries in the
  // table (of equal entries the first): the inverted file of the paper, section 3.1. For kCells only.
  Ranking probe(const float* table, std::size_t k, std::size_t nprobe, const RowFilter& filter) const;

 private:
  void prefetch_codes(Rows rows) const;
  ExcludedRows with_scores(Rows excluded, const float* table) const;
  float starting_bar(BoundQuery& query, std::size_t k) const;
  float bar_of_sample(BoundQuery& query, std::size_t k, const std::int32_t* orders, std::size_t count,
                      std::size_t seen) const;
  void scan(BoundQuery& query, std::size_t k, float bar) const;
  Ranking score_listed(const float* table, std::size_t k, Rows rows, const RowFilter& filter, Order order) const;

  const std::uint8_t* codes_of(std::int32_t row) const {
    return codes_ + static_cast<std::size_t>(row) * num_codebooks();
  }

  const std::uint8_t* codes_;
  Labels labels_;
  const BoundFilter& filter_;
  RunFilter BoundFilter::* runs_;       // of cells
  std::optional<PackedCodes> blocks_;
  std::optional<TileOrder> tiles_;
  std::optional<CellOrder> cells_;
  std::vector<std::uint32_t> sampled_;  // the rows of the sample, in any order
  PackedCodes sample_;
};

}  // namespace lightrec
