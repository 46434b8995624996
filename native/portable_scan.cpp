#include "portable_scan.hpp"

#include <algorithm>
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

Ranking ranking_of(const TopK& top, std::size_t scored = 0) {
  Ranking best;
  best.scored = scored;
  for (std::size_t rank = 0; rank < top.size(); ++rank) {
    best.rows.push_back(top.row(rank));
    best.scores.push_back(top.score(rank));
  }
  return best;
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

Ranking PortableScan::top_k(const float* table, std::size_t k, const RowFilter& filter, Order) const {
  return ranking_of(best_of(table, k, filter), filter.allowed ? filter.allowed->size() : num_items());
}

TopK PortableScan::best_of(const float* table, std::size_t k, const RowFilter& filter) const {
  if (filter.mask.words != nullptr) {
    const std::vector<std::int32_t> rows = listed_rows(filter, num_items());
    return best_of(table, k, RowFilter{filter.excluded, Rows{rows.data(), rows.data() + rows.size()}, {}});
  }
  const PaddedTable padded(table, num_codebooks(), num_codewords());
  k = clamped(k);
  if (filter.allowed) {
    TopK top(std::max<std::size_t>(std::min(k, filter.allowed->size()), 1), filter.allowed->size());
    score_listed_items(codes_, padded.entries(), *filter.allowed, filter.excluded, top);
    top.finish();
    return top;
  }
  const std::size_t rank = rank_in_sample(k, filter);
  if (rank == 0) return best_without_bar(padded, k, filter.excluded);

  TopK best_of_sample(rank, sample_.num_items());
  score_every_item(sample_, padded.entries(), Rows{}, best_of_sample);
  TopK top(k, num_items(), bar_below(best_of_sample));
  score_every_item(codes_, padded.entries(), filter.excluded, top);
  if (top.finish() < k) return best_without_bar(padded, k, filter.excluded);
  return top;
}

TopK PortableScan::best_without_bar(const PaddedTable& table, std::size_t k, Rows excluded) const {
  TopK top(k, num_items());
  score_every_item(codes_, table.entries(), excluded, top);
  top.finish();
  return top;
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
    const float* group_tables = tables + first * table_size();
    std::vector<TopK> tops;
    if (count > 1 && !filters[first].allowed) {
      tops = best_of_group(group_tables, count, k, filters.data() + first);
    } else {
      for (std::size_t q = 0; q < count; ++q) {
        tops.push_back(best_of(group_tables + q * table_size(), k, filters[first + q]));
      }
    }
    for (std::size_t q = 0; q < count; ++q) result.store(first + q, ranking_of(tops[q]));
  });
}

std::vector<TopK> PortableScan::best_of_group(const float* tables, std::size_t count, std::size_t k,
                                       const RowFilter* filters) const {
  k = clamped(k);
  EightTables eight(num_codebooks());
  eight.load(tables, count, num_codewords());

  std::vector<TopK> tops;
  std::vector<Rows> excluded;
  bool all_have_bars = true;
  for (std::size_t q = 0; q < count; ++q) {
    excluded.push_back(filters[q].excluded);
    const std::size_t rank = rank_in_sample(k, filters[q]);
    all_have_bars = all_have_bars && rank > 0;
    tops.emplace_back(std::max<std::size_t>(rank, 1), sample_.num_items());
  }
  if (all_have_bars) {
    const std::vector<Rows> nothing(count);
    score_every_item_for_eight(sample_, eight, count, nothing.data(), tops.data());
    for (TopK& top : tops) top = TopK(k, num_items(), bar_below(top));
  } else {
    tops.assign(count, TopK(k, num_items()));
  }
  score_every_item_for_eight(codes_, eight, count, excluded.data(), tops.data());
  for (std::size_t q = 0; q < count; ++q) {
    if (tops[q].finish() < k && all_have_bars) {
      const PaddedTable padded(tables + q * table_size(), num_codebooks(), num_codewords());
      tops[q] = best_without_bar(padded, k, excluded[q]);
    }
  }
  return tops;
}

}  // namespace lightrec
