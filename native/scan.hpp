// Exact top-k over item codes: what every scan offers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ranking.hpp"
#include "row_filter.hpp"

namespace lightrec {

// Where the results of a batch go; all arrays are row-major.
struct BatchResult {
  std::int64_t* rows;    // (num_queries, width), -1 past the end of a query's results
  float* scores;         // (num_queries, width), -inf past the end
  std::int64_t* counts;  // (num_queries,)
  std::size_t width;

  void store(std::size_t query, const Ranking& best) const;
};

// The catalogue, made ready once and searched many times; safe to use from several threads.
class Scan {
 public:
  virtual ~Scan() = default;

  // The k best rows of one query; table: (num_codebooks, num_codewords), checked by the caller.
  virtual Ranking top_k(const float* table, std::size_t k, const RowFilter& filter, Order order) const = 0;

  // The k best rows of each of many queries; `filters` holds one entry for each, which may differ in the
  // excluded rows only. Results are those of top_k, whatever the threads.
  virtual void top_k_batch(const float* tables, std::size_t num_queries, std::size_t k,
                           const std::vector<RowFilter>& filters, std::size_t threads,
                           const BatchResult& result) const;

  // What the scan keeps in memory for itself, in bytes.
  virtual std::size_t memory() const = 0;

  std::size_t num_items() const { return num_items_; }
  std::size_t num_codebooks() const { return num_codebooks_; }
  std::size_t num_codewords() const { return num_codewords_; }

 protected:
  Scan(std::size_t num_items, std::size_t num_codebooks, std::size_t num_codewords)
      : num_items_(num_items), num_codebooks_(num_codebooks), num_codewords_(num_codewords) {}

  std::size_t clamped(std::size_t k) const;
  std::size_t table_size() const { return num_codebooks_ * num_codewords_; }

 private:
  std::size_t num_items_, num_codebooks_, num_codewords_;
};

}  // namespace lightrec
