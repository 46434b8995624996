// The scan that assumes nothing of the processor: any number of codebooks, every item scored exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "k_best.hpp"
#include "packed_codes.hpp"
#include "scan.hpp"
#include "score_table.hpp"

namespace lightrec {

class PortableScan final : public Scan {
 public:
  // codes: (num_items, num_codebooks), row-major, every code below num_codewords; copied.
  PortableScan(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
               std::size_t num_codewords);

  Ranking top_k(const float* table, std::size_t k, const RowFilter& filter, Order order) const override;
  std::size_t memory() const override { return codes_.memory() + sample_.memory(); }

  // Eight queries share a pass over the codes.
  void top_k_batch(const float* tables, std::size_t num_queries, std::size_t k,
                   const std::vector<RowFilter>& filters, std::size_t threads,
                   const BatchResult& result) const override;

 private:
  void find_for_eight(const float* tables, std::size_t count, std::size_t k, const RowFilter* filters,
                      KBest* best) const;
  void find(const PaddedTable& table, std::size_t k, Rows excluded, float bar, KBest& best) const;
  std::size_t rank_in_sample(std::size_t k, const RowFilter& filter) const;

  PackedCodes codes_;
  PackedCodes sample_;  // random rows, to guess the score of the k-th best; empty for small catalogues
};

}  // namespace lightrec
