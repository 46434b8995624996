// Exact top-k over item codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "packed_codes.hpp"
#include "row_filter.hpp"
#include "score_table.hpp"
#include "top_k.hpp"

namespace lightrec {

// Where the results of a batch go; all arrays are row-major.
struct BatchResult {
  std::int64_t* rows;    // (num_queries, width), -1 past the end of a query's results
  float* scores;         // (num_queries, width), -inf past the end
  std::int64_t* counts;  // (num_queries,)
  std::size_t width;

  void store(std::size_t query, const TopK& top) const;
};

// The catalogue, packed once and searched many times; safe to use from several threads.
class Scan {
 public:
  // codes: (num_items, num_codebooks), row-major, every code below num_codewords.
  Scan(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
       std::size_t num_codewords);

  // The k best rows of one query; table: (num_codebooks, num_codewords), checked by the caller.
  TopK top_k(const float* table, std::size_t k, const RowFilter& filter) const;

  // The k best rows of each of many queries; `filters` holds one entry for each, and either all or none of
  // them have a list of allowed rows. Results are those of top_k, whatever the threads.
  void top_k_batch(const float* tables, std::size_t num_queries, std::size_t k,
                   const std::vector<RowFilter>& filters, std::size_t threads,
                   const BatchResult& result) const;

  std::size_t num_items() const { return codes_.num_items(); }
  std::size_t num_codebooks() const { return codes_.num_codebooks(); }
  std::size_t num_codewords() const { return num_codewords_; }

 private:
  std::vector<TopK> top_k_of_group(const float* tables, std::size_t count, std::size_t k,
                                   const RowFilter* filters) const;
  TopK top_k_without_bar(const PaddedTable& table, std::size_t k, Rows excluded) const;
  std::size_t rank_in_sample(std::size_t k, const RowFilter& filter) const;
  std::size_t clamped(std::size_t k) const;
  std::size_t table_size() const { return num_codebooks() * num_codewords_; }

  std::size_t num_codewords_;
  PackedCodes codes_;
  PackedCodes sample_;  // random rows, to guess the score of the k-th best; empty for small catalogues
};

}  // namespace lightrec
