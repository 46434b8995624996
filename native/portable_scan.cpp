#include "portable_scan.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "eight_queries.hpp"
#include "parallel.hpp"
#include "score_every_item.hpp"
#include "score_table.hpp"
#include "starting_bar.hpp"

namespace lightrec {
namespace {

PackedCodes pack_sample(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks) {
  std::vector<std::uint8_t> sample;
  for (const std::size_t row : sample_rows(num_items)) {
    sample.insert(sample.end(), codes + row * num_codebooks, codes + (row + 1) * num_codebooks);
  }
  return {sample.data(), sample.size() / num_codebooks, num_codebooks};
}

// The rows of a mask as a list, less those that are not allowed.
std::vector<std::int32_t> listed_rows(const RowFilter& filter, std::size_t num_items) {
  if (!filter.allowed) return filter.mask.rows(num_items);
  std::vector<std::int32_t> rows;
  std::copy_if(filter.allowed->begin, filter.allowed->end, std::back_inserter(rows),
               [&](std::int32_t row) { return filter.mask.contains(static_cast<std::size_t>(row)); });
  return rows;
}

}  // namespace

PortableScan::PortableScan(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
                           std::size_t num_codewords)
    : Scan(num_items, num_codebooks, num_codewords),
      codes_(codes, num_items, num_codebooks),
      sample_(pack_sample(codes, num_items, num_codebooks)) {}

Ranking PortableScan::top_k(const float* table, std::size_t k, const RowFilter& filter, Order order) const {
  if (filter.mask.words != nullptr) {
    const std::vector<std::int32_t> rows = listed_rows(filter, num_items());
    return top_k(table, k, RowFilter{filter.excluded, Rows{rows.data(), rows.data() + rows.size()}, {}}, order);
  }
  thread_local KBest best;
  const PaddedTable padded(table, num_codebooks(), num_codewords());
  k = clamped(k);
  if (filter.allowed) {
    best.start(k, kNoBar);
    score_listed_items(codes_, padded.entries(), *filter.allowed, filter.excluded, best);
  } else {
    float bar = kNoBar;
    if (const std::size_t rank = rank_in_sample(k, filter); rank > 0) {
      best.start(rank, kNoBar);
      score_every_item(sample_, padded.entries(), Rows{}, best);
      bar = bar_below(best);
    }
    find(padded, k, filter.excluded, bar, best);
    if (bar != kNoBar && best.size() < k) find(padded, k, filter.excluded, kNoBar, best);  // it promised too much
  }
  Ranking found = best.finish(order);
  found.scored = filter.allowed ? filter.allowed->size() : num_items();
  return found;
}

void PortableScan::find(const PaddedTable& table, std::size_t k, Rows excluded, float bar, KBest& best) const {
  best.start(k, bar);
  score_every_item(codes_, table.entries(), excluded, best);
}

std::size_t PortableScan::rank_in_sample(std::size_t k, const RowFilter& filter) const {
  // Every excluded row may be one of the best.
  return bar_rank(k + filter.excluded.size(), sample_.num_items(), num_items());
}

void PortableScan::top_k_batch(const float* tables, std::size_t num_queries, std::size_t k,
                       const std::vector<RowFilter>& given, std::size_t threads,
                       const BatchResult& result) const {
  std::vector<RowFilter> filters = given;
  std::vector<std::int32_t> rows;
  if (!filters.empty() && filters[0].mask.words != nullptr) {  // one mask for all
    rows = listed_rows(filters[0], num_items());
    for (RowFilter& filter : filters) {
      filter = {filter.excluded, Rows{rows.data(), rows.data() + rows.size()}, {}};
    }
  }
  const std::size_t microseconds = num_queries * (num_items() * num_codebooks() / 4 / 1'000 + 1);  // about
  parallel_for((num_queries + kQueries - 1) / kQueries, worthwhile(threads, microseconds), [&](std::size_t group) {
    const std::size_t first = group * kQueries;
    const std::size_t count = std::min(kQueries, num_queries - first);
    if (count > 1 && !filters[first].allowed) {
      std::array<KBest, kQueries> best;
      find_for_eight(tables + first * table_size(), count, k, filters.data() + first, best.data());
      for (std::size_t q = 0; q < count; ++q) result.store(first + q, best[q].finish());
      return;
    }
    for (std::size_t q = first; q < first + count; ++q) {
      result.store(q, top_k(tables + q * table_size(), k, filters[q], Order::kBestFirst));
    }
  });
}

void PortableScan::find_for_eight(const float* tables, std::size_t count, std::size_t k, const RowFilter* filters,
                                  KBest* best) const {
  k = clamped(k);
  EightTables eight(num_codebooks());
  eight.load(tables, count, num_codewords());

  std::vector<Rows> excluded;
  bool all_have_bars = true;
  for (std::size_t q = 0; q < count; ++q) {
    excluded.push_back(filters[q].excluded);
    const std::size_t rank = rank_in_sample(k, filters[q]);
    all_have_bars = all_have_bars && rank > 0;
    best[q].start(std::max<std::size_t>(rank, 1), kNoBar);
  }
  if (all_have_bars) {
    const std::vector<Rows> nothing(count);
    score_every_item_for_eight(sample_, eight, count, nothing.data(), best);
  }
  for (std::size_t q = 0; q < count; ++q) best[q].start(k, all_have_bars ? bar_below(best[q]) : kNoBar);
  score_every_item_for_eight(codes_, eight, count, excluded.data(), best);
  for (std::size_t q = 0; q < count; ++q) {
    if (!all_have_bars || best[q].size() >= k) continue;
    const PaddedTable padded(tables + q * table_size(), num_codebooks(), num_codewords());
    find(padded, k, excluded[q], kNoBar, best[q]);
  }
}

}  // namespace lightrec
