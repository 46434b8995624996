// Searches by query vectors as Python sees them: score tables, scans, post-ranking.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "cosine_scan.hpp"
#include "float_scan.hpp"
#include "mask_writer.hpp"
#include "post_ranking.hpp"
#include "score_table.hpp"
#include "search_bindings.hpp"

namespace lightrec {
namespace {

using namespace nb::literals;

Result<float, 3> build_tables(const ScoreTableBuilder& builder, const Input<float, 2>& queries) {
  require(queries.shape(1) == builder.width(), "queries and codebooks differ in width");
  auto tables = new_array<float, 3>({queries.shape(0), builder.num_codebooks(), builder.num_codewords()});
  {
    const nb::gil_scoped_release released;
    builder.build(queries.data(), queries.shape(0), tables.data());
  }
  return tables;
}

using AnyVectors = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

using Scales = std::optional<Input<float, 1>>;

ItemVectors checked_vectors(const AnyVectors& vectors, const Scales& scales, std::size_t width) {
  constexpr auto kFloat = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float);
  constexpr auto kInteger = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Int);
  const nb::dlpack::dtype type = vectors.dtype();
  const bool bytes = type.code == kInteger && type.bits == 8;
  require(type.lanes == 1 && (bytes || (type.code == kFloat && (type.bits == 32 || type.bits == 16))),
          "item vectors must be float32, float16 or int8");
  require(width == vectors.shape(1) && width >= 1, "query and item vectors differ in width");
  require(vectors.shape(0) < std::size_t{1} << 31, "item vectors have fewer than 2^31 rows");
  require(bytes == scales.has_value() && (!scales || scales->size() == vectors.shape(0)),
          "item vectors of int8, and no others, need one scale a row");
  const auto kind = bytes              ? ItemVectors::Type::kInt8
                    : type.bits == 32 ? ItemVectors::Type::kFloat32
                                      : ItemVectors::Type::kFloat16;
  return {vectors.data(), vectors.shape(0), vectors.shape(1), kind, scales ? scales->data() : nullptr};
}

using MaskWords = nb::ndarray<std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::size_t set_rows_of_mask(const MaskWords& words, const Input<std::int32_t, 1>& rows, bool permitted) {
  const Rows given{rows.data(), rows.data() + rows.size()};
  const auto num_rows = static_cast<std::int64_t>(64 * words.size());
  require(std::all_of(given.begin, given.end, [&](std::int64_t row) { return row >= 0 && row < num_rows; }),
          "rows lie outside the mask");
  const nb::gil_scoped_release released;
  return set_rows(words.data(), given, permitted);
}

nb::tuple post_rank_rows(const Input<std::int64_t, 1>& rows, const Input<float, 1>& query,
                         const AnyVectors& vectors, std::size_t k, const Scales& scales) {
  require(k >= 1, "k must be at least 1");
  const ItemVectors items = checked_vectors(vectors, scales, query.size());
  Ranking best;
  {
    const nb::gil_scoped_release released;
    const std::vector<std::int64_t> candidates = distinct(rows.data(), rows.size(), items.num_rows);
    best = post_rank(query.data(), items, candidates.data(), candidates.size(), k);
  }
  return arrays_of(best);
}

nb::tuple post_rank_rows_batch(const Input<std::int64_t, 2>& rows, const Input<std::int64_t, 1>& counts,
                               const Input<float, 2>& queries, const AnyVectors& vectors, std::size_t k,
                               const Scales& scales, std::size_t threads) {
  require(k >= 1, "k must be at least 1");
  const std::size_t num_queries = queries.shape(0), width = rows.shape(1);
  require(rows.shape(0) == num_queries && counts.size() == num_queries,
          "there must be candidate rows and a count for each query");
  const ItemVectors items = checked_vectors(vectors, scales, queries.shape(1));
  // A copy, checked: another thread may write to the array meanwhile.
  const std::vector<std::int64_t> wanted(counts.data(), counts.data() + num_queries);
  for (const std::int64_t count : wanted) {
    require(count >= 0 && static_cast<std::size_t>(count) <= width, "a count must be 0 to the width of the rows");
  }
  const std::size_t most = std::min(k, width);
  auto best_rows = new_array<std::int64_t, 2>({num_queries, most});
  auto scores = new_array<float, 2>({num_queries, most});
  auto best_counts = new_array<std::int64_t, 1>({num_queries});
  {
    const nb::gil_scoped_release released;
    post_rank_batch(queries.data(), items, Recalled{rows.data(), wanted.data(), width}, num_queries, k, threads,
                    BatchResult{best_rows.data(), scores.data(), best_counts.data(), most});
  }
  return nb::make_tuple(best_rows, scores, best_counts);
}

// A query by its vector, in one call: score table, scan and, with candidates, post-ranking.
nb::tuple search(const ScoreTableBuilder& builder, const Scan& scan, const Input<float, 1>& query, std::size_t k,
                 const OptionalRows& exclude, const OptionalRows& allow, std::size_t candidates,
                 const std::optional<AnyVectors>& vectors, const OptionalMask& mask, std::size_t mask_count,
                 const Scales& scales) {
  require(k >= 1, "k must be at least 1");
  require(query.size() == builder.width(), "query and codebooks differ in width");
  require(builder.num_codebooks() == scan.num_codebooks() && builder.num_codewords() == scan.num_codewords(),
          "the codebooks do not have the shape of the codes");
  require(vectors.has_value() == (candidates > 0), "candidates and item vectors go together");
  require(candidates == 0 || candidates >= std::min(k, scan.num_items()), "candidates must be at least k");
  const RowFilter filter = checked_filter(scan.num_items(), exclude, allow, mask, mask_count);
  std::optional<ItemVectors> items;
  if (vectors) {
    items = checked_vectors(*vectors, scales, query.size());
    require(vectors->shape(0) == scan.num_items(), "there must be one item vector for each item");
  }
  const nb::gil_scoped_release released;
  thread_local std::vector<float> table;
  table.resize(builder.num_codebooks() * builder.num_codewords());
  builder.build(query.data(), 1, table.data());
  if (!all_within(table.data(), table.size(), largest_entry(scan.num_codebooks()))) {
    require(all_within(query.data(), query.size(), std::numeric_limits<float>::max()), "the query is not finite");
    throw ArgumentError("the query is so large that scores could be infinite");
  }
  Ranking best = scan.top_k(table.data(), items ? candidates : k, filter, items ? Order::kAny : Order::kBestFirst);
  if (items) best = post_rank(query.data(), *items, best.rows.data(), best.rows.size(), k);
  const nb::gil_scoped_acquire acquired;
  return arrays_of(best);
}

void init_cosine_scan(CosineScan* self, const Input<std::uint8_t, 2>& codes, const Input<float, 1>& lengths,
                      std::size_t num_codewords) {
  require_table_shape(codes.shape(1), num_codewords);
  require(codes.shape(0) < std::size_t{1} << 31, "a scan holds fewer than 2^31 items");
  require(lengths.size() == codes.shape(0), "there must be one length for each item");
  require_codes_below(codes, num_codewords, "codes");
  new (self) CosineScan(codes.data(), lengths.data(), codes.shape(0), codes.shape(1), num_codewords);
}

nb::tuple cosine_top_k(const CosineScan& scan, const Input<float, 2>& table, std::size_t k,
                       const OptionalRows& exclude, const OptionalRows& allow, const OptionalMask& mask,
                       std::size_t mask_count) {
  require(k >= 1, "k must be at least 1");
  require(table.shape(0) == scan.num_codebooks() && table.shape(1) == scan.num_codewords(),
          "the score table does not have the shape of the codes");
  require_finite_scores(table.data(), table.size(), table.shape(0));
  const RowFilter filter = checked_filter(scan.num_items(), exclude, allow, mask, mask_count);
  Ranking best;
  {
    const nb::gil_scoped_release released;
    best = scan.top_k(table.data(), k, filter);
  }
  return arrays_of(best);
}

nb::tuple float_top_k(const FloatScan& scan, const Input<float, 1>& query, std::size_t k) {
  require(query.size() == scan.width(), "query and item vectors differ in width");
  require(k >= 1, "k must be at least 1");
  float largest = 0.0F;
  for (std::size_t d = 0; d < query.size(); ++d) largest = std::max(largest, std::fabs(query.data()[d]));
  require(all_within(query.data(), query.size(), std::numeric_limits<float>::max()), "the query is not finite");
  require(scan.can_score(largest), "scores by float vectors are too large to add up");
  Ranking best;
  {
    const nb::gil_scoped_release released;
    best = scan.top_k(query.data(), k);
  }
  return arrays_of(best);
}

}  // namespace

void bind_search(nb::module_& module) {
  load_numpy();
  nb::class_<ScoreTableBuilder>(module, "ScoreTableBuilder")
      .def(
          "__init__",
          [](ScoreTableBuilder* self, const Input<float, 3>& codebooks) {
            require_table_shape(codebooks.shape(0), codebooks.shape(1));
            require(codebooks.shape(2) >= 1, "codewords must have at least one dimension");
            new (self) ScoreTableBuilder(codebooks.data(), codebooks.shape(0), codebooks.shape(1),
                                         codebooks.shape(2));
          },
          nb::arg("codebooks").noconvert())
      .def("build", &build_tables, nb::arg("queries").noconvert());

  bind_scans(module);

  nb::class_<FloatScan>(module, "FloatScan")
      .def(
          "__init__",
          [](FloatScan* self, const Input<float, 2>& vectors) {
            require(vectors.shape(1) >= 1, "item vectors must have at least one dimension");
            require(vectors.shape(0) < std::size_t{1} << 31, "a scan holds fewer than 2^31 items");
            require(all_within(vectors.data(), vectors.size(), std::numeric_limits<float>::max()),
                    "item vectors hold values that are not finite");
            new (self) FloatScan(vectors.data(), vectors.shape(0), vectors.shape(1));
          },
          nb::arg("vectors").noconvert())
      .def("top_k", &float_top_k, nb::arg("query").noconvert(), "k"_a);

  nb::class_<CosineScan>(module, "CosineScan")
      .def("__init__", &init_cosine_scan, nb::arg("codes").noconvert(), nb::arg("lengths").noconvert(),
           "num_codewords"_a, nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())  // borrows both
      .def("top_k", &cosine_top_k, nb::arg("table").noconvert(), "k"_a,
           nb::arg("exclude").noconvert() = nb::none(), nb::arg("allow").noconvert() = nb::none(),
           nb::arg("mask").noconvert() = nb::none(), "mask_count"_a = 0);

  module.def("set_rows", &set_rows_of_mask, nb::arg("words").noconvert(), nb::arg("rows").noconvert(), "permitted"_a);
  module.def("search", &search, "builder"_a, "scan"_a, nb::arg("query").noconvert(), "k"_a,
             nb::arg("exclude").noconvert() = nb::none(), nb::arg("allow").noconvert() = nb::none(),
             "candidates"_a = 0, nb::arg("vectors").noconvert() = nb::none(), nb::arg("mask").noconvert() = nb::none(),
             "mask_count"_a = 0, nb::arg("scales").noconvert() = nb::none());
  module.def("post_rank", &post_rank_rows, nb::arg("rows").noconvert(), nb::arg("query").noconvert(),
             nb::arg("vectors").noconvert(), "k"_a, nb::arg("scales").noconvert() = nb::none());
  module.def("post_rank_batch", &post_rank_rows_batch, nb::arg("rows").noconvert(), nb::arg("counts").noconvert(),
             nb::arg("queries").noconvert(), nb::arg("vectors").noconvert(), "k"_a,
             nb::arg("scales").noconvert() = nb::none(), "threads"_a = 1);
}

}  // namespace lightrec
