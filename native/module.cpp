// The extension module: checks what Python passes, releases the GIL, calls a kernel.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bound_scan.hpp"
#include "encode.hpp"
#include "errors.hpp"
#include "finite.hpp"
#include "scan.hpp"
#include "score_table.hpp"
#include "scores.hpp"
#include "user_fit.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace lightrec {
namespace {

template <typename T, std::size_t Dims>
using Input = nb::ndarray<const T, nb::ndim<Dims>, nb::c_contig, nb::device::cpu>;
template <typename T, std::size_t Dims>
using Result = nb::ndarray<nb::numpy, T, nb::ndim<Dims>, nb::c_contig>;

// For fixed messages; what has to be put together is thrown where it is needed, as calls are frequent.
void require(bool holds, const char* message) {
  if (!holds) throw ArgumentError(message);
}

// A new numpy array, its values not set yet.
template <typename T, std::size_t Dims>
Result<T, Dims> new_array(const std::array<std::size_t, Dims>& shape) {
  std::size_t size = 1;
  for (const std::size_t extent : shape) size *= extent;
  std::unique_ptr<T[]> values(new T[size]);
  const nb::capsule owner(values.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return Result<T, Dims>(values.release(), Dims, shape.data(), owner);
}

void require_codes_below(const Input<std::uint8_t, 2>& codes, std::size_t num_codewords, const char* what) {
  if (num_codewords == kMaxCodewords) return;  // every byte is a codeword
  const std::uint8_t* code = codes.data();
  unsigned largest = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) largest = largest < code[i] ? code[i] : largest;
  if (codes.size() > 0 && largest >= num_codewords) {
    throw ArgumentError(std::string(what) + " hold the index " + std::to_string(largest) +
                        ", but there are " + std::to_string(num_codewords) + " codewords");
  }
}

void require_table_shape(std::size_t num_codebooks, std::size_t num_codewords) {
  require(num_codebooks >= 1, "there must be at least one codebook");
  require(num_codewords >= 1 && num_codewords <= kMaxCodewords, "a codebook has 1 to 256 codewords");
}

Result<float, 3> build_tables(const ScoreTableBuilder& builder, const Input<float, 2>& queries) {
  require(queries.shape(1) == builder.width(), "queries and codebooks differ in width");
  auto tables = new_array<float, 3>({queries.shape(0), builder.num_codebooks(), builder.num_codewords()});
  {
    const nb::gil_scoped_release released;
    builder.build(queries.data(), queries.shape(0), tables.data());
  }
  return tables;
}

Result<float, 2> all_scores(const Input<std::uint8_t, 2>& codes, const Input<float, 3>& tables,
                            std::size_t threads) {
  require_table_shape(tables.shape(1), tables.shape(2));
  require(codes.shape(1) == tables.shape(1), "codes and score tables differ in the number of codebooks");
  require_codes_below(codes, tables.shape(2), "codes");
  auto scores = new_array<float, 2>({tables.shape(0), codes.shape(0)});
  {
    const nb::gil_scoped_release released;
    score_items(codes.data(), codes.shape(0), codes.shape(1), tables.data(), tables.shape(0), tables.shape(2),
                threads, scores.data());
  }
  return scores;
}

nb::tuple encode_vectors(const Input<float, 3>& inner, const Input<float, 2>& gram, std::size_t beam,
                         std::size_t sweeps, const std::optional<Input<std::uint8_t, 2>>& start,
                         std::size_t threads) {
  const std::size_t count = inner.shape(0), books = inner.shape(1), words = inner.shape(2);
  require_table_shape(books, words);
  require(gram.shape(0) == books * words && gram.shape(1) == books * words,
          "gram must have one row and one column for each codeword");
  require(beam <= kLargestBeam, "beam must be at most 65536");
  require(beam > 0 || start.has_value(), "beam 0 only refines: give the codes to start from");
  if (start) {
    require(start->shape(0) == count && start->shape(1) == books,
            "start must have the codes of every vector");
    require_codes_below(*start, words, "start codes");
  }
  auto codes = new_array<std::uint8_t, 2>({count, books});
  auto errors = new_array<double, 1>({count});
  {
    const nb::gil_scoped_release released;
    const EncodeProblem problem{
        inner.data(), gram.data(), start ? start->data() : nullptr, count, books, words, beam, sweeps};
    encode(problem, threads, codes.data(), errors.data());
  }
  return nb::make_tuple(codes, errors);
}

// Magnitudes up to this cannot add up to an infinite score.
void require_finite_scores(const float* tables, std::size_t size, std::size_t num_codebooks) {
  const float limit = std::numeric_limits<float>::max() / static_cast<float>(num_codebooks);
  require(all_within(tables, size, limit),
          "score tables hold values that are not finite or too large to add up");
}

Rows checked_rows(const std::int32_t* begin, const std::int32_t* end, std::size_t num_items,
                  const char* what) {
  const Rows rows{begin, end};
  if (rows.size() == 0) return rows;
  const bool ascending = std::adjacent_find(begin, end, std::greater_equal<>()) == end;
  if (!ascending || *begin < 0) {
    throw ArgumentError(std::string(what) + " rows must be ascending, without repetition, from 0 on");
  }
  if (static_cast<std::size_t>(end[-1]) >= num_items) {
    throw ArgumentError(std::string(what) + " rows hold " + std::to_string(end[-1]) + ", but there are " +
                        std::to_string(num_items) + " items");
  }
  return rows;
}

using OptionalRows = std::optional<Input<std::int32_t, 1>>;

std::optional<Rows> checked_allowed(const OptionalRows& allow, std::size_t num_items) {
  if (!allow) return std::nullopt;
  return checked_rows(allow->data(), allow->data() + allow->size(), num_items, "allow");
}

void init_scan(Scan* self, const Input<std::uint8_t, 2>& codes, std::size_t num_codewords) {
  require_table_shape(codes.shape(1), num_codewords);
  require(codes.shape(0) < std::size_t{1} << 31, "a scan holds fewer than 2^31 items");
  require_codes_below(codes, num_codewords, "codes");
  new (self) Scan(codes.data(), codes.shape(0), codes.shape(1), num_codewords);
}

nb::tuple scan_top_k(const Scan& scan, const Input<float, 2>& table, std::size_t k,
                     const OptionalRows& exclude, const OptionalRows& allow) {
  require(k >= 1, "k must be at least 1");
  require(table.shape(0) == scan.num_codebooks() && table.shape(1) == scan.num_codewords(),
          "the score table does not have the shape of the codes");
  require_finite_scores(table.data(), table.size(), scan.num_codebooks());
  RowFilter filter{Rows{}, checked_allowed(allow, scan.num_items())};
  if (exclude) {
    filter.excluded =
        checked_rows(exclude->data(), exclude->data() + exclude->size(), scan.num_items(), "exclude");
  }
  std::optional<TopK> top;
  {
    const nb::gil_scoped_release released;
    top = scan.top_k(table.data(), k, filter);
  }
  auto rows = new_array<std::int64_t, 1>({top->size()});
  auto scores = new_array<float, 1>({top->size()});
  for (std::size_t rank = 0; rank < top->size(); ++rank) {
    rows.data()[rank] = top->row(rank);
    scores.data()[rank] = top->score(rank);
  }
  return nb::make_tuple(rows, scores);
}

// The rows that each query excludes: query q excludes rows[indptr[q]:indptr[q + 1]].
std::vector<RowFilter> checked_filters(std::size_t num_queries, std::size_t num_items,
                                       const std::optional<Input<std::int64_t, 1>>& indptr,
                                       const OptionalRows& rows, const OptionalRows& allow) {
  std::vector<RowFilter> filters(num_queries, RowFilter{Rows{}, checked_allowed(allow, num_items)});
  require(indptr.has_value() == rows.has_value(), "exclude_indptr and exclude_rows go together");
  if (!indptr) return filters;
  const std::int64_t* starts = indptr->data();
  const auto num_rows = static_cast<std::int64_t>(rows->size());
  require(indptr->size() == num_queries + 1 && starts[0] == 0 && starts[num_queries] == num_rows,
          "exclude_indptr must lead from 0 to the number of rows, with one step for each query");
  for (std::size_t q = 0; q < num_queries; ++q) {
    require(starts[q] <= starts[q + 1] && starts[q + 1] <= num_rows, "exclude_indptr must not fall");
    filters[q].excluded =
        checked_rows(rows->data() + starts[q], rows->data() + starts[q + 1], num_items, "exclude");
  }
  return filters;
}

nb::tuple scan_top_k_batch(const Scan& scan, const Input<float, 3>& tables, std::size_t k,
                           const std::optional<Input<std::int64_t, 1>>& exclude_indptr,
                           const OptionalRows& exclude_rows, const OptionalRows& allow, std::size_t threads) {
  require(k >= 1, "k must be at least 1");
  require(tables.shape(1) == scan.num_codebooks() && tables.shape(2) == scan.num_codewords(),
          "the score tables do not have the shape of the codes");
  require_finite_scores(tables.data(), tables.size(), scan.num_codebooks());
  const std::size_t num_queries = tables.shape(0);
  const auto filters = checked_filters(num_queries, scan.num_items(), exclude_indptr, exclude_rows, allow);
  const std::size_t width = std::min(k, scan.num_items());
  auto rows = new_array<std::int64_t, 2>({num_queries, width});
  auto scores = new_array<float, 2>({num_queries, width});
  auto counts = new_array<std::int64_t, 1>({num_queries});
  {
    const nb::gil_scoped_release released;
    scan.top_k_batch(tables.data(), num_queries, k, filters, threads,
                     BatchResult{rows.data(), scores.data(), counts.data(), width});
  }
  return nb::make_tuple(rows, scores, counts);
}

// A scan by bounds, with the codes that it borrows.
struct OwnedBoundScan {
  Input<std::uint8_t, 2> codes;
  BoundScan scan;
};

void init_bound_scan(OwnedBoundScan* self, const Input<std::uint8_t, 2>& codes, std::size_t num_codewords,
                     const Input<std::uint8_t, 2>& labels, const std::string& instruction_set, bool cells) {
  require_table_shape(codes.shape(1), num_codewords);
  require(codes.shape(1) == kFourBooks, "a scan by bounds needs four codebooks");
  require(codes.shape(0) < std::size_t{1} << 31, "a scan holds fewer than 2^31 items");
  require_codes_below(codes, num_codewords, "codes");
  require(labels.shape(0) == kFourBooks && labels.shape(1) == kMaxCodewords, "labels must be (4, 256)");
  Labels numbers;
  for (std::size_t book = 0; book < kFourBooks; ++book) {
    std::array<bool, kMaxCodewords> taken{};
    for (std::size_t word = 0; word < kMaxCodewords; ++word) {
      const std::uint8_t label = labels.data()[book * kMaxCodewords + word];
      require(!taken[label], "labels must be permutations of 0 .. 255");
      taken[label] = true;
      numbers[book][word] = label;
    }
  }
  const InstructionSet set =
      instruction_set == "avx512vbmi" ? InstructionSet::kAvx512Vbmi : InstructionSet::kAvx2;
  require(set <= best_instruction_set(), "this processor lacks the instructions asked for");
  new (self) OwnedBoundScan{codes, BoundScan(codes.data(), codes.shape(0), num_codewords, numbers, set,
                                             cells ? Layout::kCells : Layout::kFlat)};
}

nb::tuple bound_scan_top_k(const OwnedBoundScan& owned, const Input<float, 2>& table, std::size_t k,
                           const OptionalRows& exclude, const OptionalRows& allow) {
  require(k >= 1, "k must be at least 1");
  require_finite_scores(table.data(), table.size(), kFourBooks);
  const std::size_t num_items = owned.scan.num_items();
  RowFilter filter{Rows{}, checked_allowed(allow, num_items)};
  if (exclude) {
    filter.excluded = checked_rows(exclude->data(), exclude->data() + exclude->size(), num_items, "exclude");
  }
  Ranking best;
  {
    const nb::gil_scoped_release released;
    best = owned.scan.top_k(table.data(), k, filter);
  }
  auto rows = new_array<std::int64_t, 1>({best.size()});
  auto scores = new_array<float, 1>({best.size()});
  std::copy(best.rows.begin(), best.rows.end(), rows.data());
  std::copy(best.scores.begin(), best.scores.end(), scores.data());
  return nb::make_tuple(rows, scores);
}

constexpr float kLargestTeacherScore = 1e30F;  // sums of them, and of products with weights, stay finite

void init_user_fit(UserFit* self, const Input<std::uint8_t, 2>& codes, std::size_t num_codewords) {
  require_table_shape(codes.shape(1), num_codewords);
  require(codes.shape(1) <= 64, "users are fitted to at most 64 codebooks");
  require(codes.shape(0) < std::size_t{1} << 31, "users are fitted to fewer than 2^31 items");
  require_codes_below(codes, num_codewords, "codes");
  new (self) UserFit(codes.data(), codes.shape(0), codes.shape(1), num_codewords);
}

// What every fit of a block of users is given; keeps the rows that each user has seen.
class UserBlock {
 public:
  UserBlock(const UserFit& fit, const Input<float, 2>& teacher_scores,
            const std::optional<Input<std::int64_t, 1>>& seen_indptr, const OptionalRows& seen_rows,
            const Input<std::int32_t, 2>& catalogue, std::size_t candidates, std::size_t false_positives,
            float catalogue_weight, float ridge)
      : problem{teacher_scores.data(),
                nullptr,
                catalogue.data(),
                teacher_scores.shape(0),
                catalogue.shape(0),
                catalogue.shape(1),
                std::clamp<std::size_t>(candidates, 1, std::max<std::size_t>(fit.num_items(), 1)),
                std::min(false_positives, fit.num_items()),
                catalogue_weight,
                ridge} {
    require(teacher_scores.shape(1) == fit.num_items(), "teacher_scores must have one column for each item");
    require(candidates >= 1, "candidates must be at least 1");
    require(ridge > 0.0F && catalogue_weight >= 0.0F, "ridge must be above 0, catalogue_weight not below");
    require(all_within(teacher_scores.data(), teacher_scores.size(), kLargestTeacherScore),
            "teacher_scores hold values that are not finite or too large");
    for (std::size_t round = 0; round < problem.rounds; ++round) {
      const std::int32_t* rows = problem.catalogue + round * problem.catalogue_size;
      const std::int32_t* end = rows + problem.catalogue_size;
      require(std::is_sorted(rows, end), "catalogue rows must ascend within a round");
      require(rows == end || (*rows >= 0 && static_cast<std::size_t>(end[-1]) < fit.num_items()),
              "catalogue rows must be rows of items");
    }
    for (const RowFilter& filter :
         checked_filters(problem.num_users, fit.num_items(), seen_indptr, seen_rows, std::nullopt)) {
      seen_.push_back(filter.excluded);
    }
    problem.seen = seen_.data();
  }
  UserBlock(const UserBlock&) = delete;
  UserBlock& operator=(const UserBlock&) = delete;

  UserFitProblem problem;

 private:
  std::vector<Rows> seen_;
};

void require_tables_of(const UserFit& fit, const Input<float, 3>& tables, std::size_t num_users) {
  require(tables.shape(0) == num_users && tables.shape(1) == fit.num_codebooks() &&
              tables.shape(2) == fit.num_codewords(),
          "tables must be (num_users, num_codebooks, num_codewords)");
  require_finite_scores(tables.data(), tables.size(), fit.num_codebooks());
}

Result<float, 3> fit_user_tables(const UserFit& fit, const Input<float, 2>& teacher_scores,
                                 const std::optional<Input<std::int64_t, 1>>& seen_indptr,
                                 const OptionalRows& seen_rows, const Input<std::int32_t, 2>& catalogue,
                                 std::size_t candidates, std::size_t false_positives, float catalogue_weight,
                                 float ridge, const Input<float, 3>& start, std::size_t threads) {
  const UserBlock block(fit, teacher_scores, seen_indptr, seen_rows, catalogue, candidates, false_positives,
                        catalogue_weight, ridge);
  require_tables_of(fit, start, block.problem.num_users);
  auto tables = new_array<float, 3>({start.shape(0), start.shape(1), start.shape(2)});
  std::copy_n(start.data(), start.size(), tables.data());
  {
    const nb::gil_scoped_release released;
    fit.fit_tables(block.problem, threads, tables.data());
  }
  return tables;
}

Result<float, 2> fit_user_vectors(const UserFit& fit, const Input<float, 2>& teacher_scores,
                                  const std::optional<Input<std::int64_t, 1>>& seen_indptr,
                                  const OptionalRows& seen_rows, const Input<std::int32_t, 2>& catalogue,
                                  std::size_t candidates, std::size_t false_positives, float catalogue_weight,
                                  float ridge, const Input<float, 2>& start, const Input<float, 3>& codebooks,
                                  std::size_t threads) {
  const UserBlock block(fit, teacher_scores, seen_indptr, seen_rows, catalogue, candidates, false_positives,
                        catalogue_weight, ridge);
  require(codebooks.shape(0) == fit.num_codebooks() && codebooks.shape(1) == fit.num_codewords() &&
              codebooks.shape(2) >= 1,
          "codebooks must be (num_codebooks, num_codewords, width)");
  require(start.shape(0) == block.problem.num_users && start.shape(1) == codebooks.shape(2),
          "start must be (num_users, width)");
  auto vectors = new_array<float, 2>({start.shape(0), start.shape(1)});
  std::copy_n(start.data(), start.size(), vectors.data());
  {
    const nb::gil_scoped_release released;
    fit.fit_vectors(block.problem, codebooks.data(), codebooks.shape(2), threads, vectors.data());
  }
  return vectors;
}

nb::tuple user_candidates(const UserFit& fit, const Input<float, 2>& teacher_scores,
                          const std::optional<Input<std::int64_t, 1>>& seen_indptr,
                          const OptionalRows& seen_rows, const Input<std::int32_t, 2>& catalogue,
                          std::size_t candidates, std::size_t false_positives, float catalogue_weight,
                          const Input<float, 3>& tables, std::size_t threads) {
  const UserBlock block(fit, teacher_scores, seen_indptr, seen_rows, catalogue, candidates, false_positives,
                        catalogue_weight, 1.0F);
  require(block.problem.rounds == 1, "catalogue must hold the rows of one round");
  require_tables_of(fit, tables, block.problem.num_users);
  std::vector<Candidates> lists;
  {
    const nb::gil_scoped_release released;
    lists = fit.candidates(block.problem, tables.data(), threads);
  }
  auto indptr = new_array<std::int64_t, 1>({lists.size() + 1});
  indptr.data()[0] = 0;
  std::size_t total = 0;
  for (std::size_t u = 0; u < lists.size(); ++u) {
    total += lists[u].size();
    indptr.data()[u + 1] = static_cast<std::int64_t>(total);
  }
  auto rows = new_array<std::int32_t, 1>({total});
  auto targets = new_array<float, 1>({total});
  auto weights = new_array<float, 1>({total});
  for (std::size_t u = 0; u < lists.size(); ++u) {
    const std::int64_t at = indptr.data()[u];
    std::copy(lists[u].rows.begin(), lists[u].rows.end(), rows.data() + at);
    std::copy(lists[u].targets.begin(), lists[u].targets.end(), targets.data() + at);
    std::copy(lists[u].weights.begin(), lists[u].weights.end(), weights.data() + at);
  }
  return nb::make_tuple(indptr, rows, targets, weights);
}

Result<float, 3> user_residual_tables(const UserFit& fit, const Input<std::int64_t, 1>& indptr,
                                      const Input<std::int32_t, 1>& rows,
                                      const std::optional<Input<float, 1>>& targets,
                                      const Input<float, 1>& weights, const Input<float, 3>& tables,
                                      std::size_t threads) {
  const std::int64_t* starts = indptr.data();
  const auto total = static_cast<std::int64_t>(rows.size());
  require(indptr.size() >= 1 && starts[0] == 0 && starts[indptr.size() - 1] == total &&
              std::is_sorted(starts, starts + indptr.size()),
          "indptr must ascend from 0 to the number of candidates");
  require(weights.size() == rows.size() && (!targets || targets->size() == rows.size()),
          "candidates need one weight and one target each");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    require(rows.data()[i] >= 0 && static_cast<std::size_t>(rows.data()[i]) < fit.num_items(),
            "candidate rows must be rows of items");
  }
  require_tables_of(fit, tables, indptr.size() - 1);
  auto residuals = new_array<float, 3>({tables.shape(0), tables.shape(1), tables.shape(2)});
  {
    const nb::gil_scoped_release released;
    const CandidateLists lists{starts, rows.data(), weights.data(), targets ? targets->data() : nullptr,
                               indptr.size() - 1};
    fit.residual_tables(lists, tables.data(), threads, residuals.data());
  }
  return residuals;
}

}  // namespace

NB_MODULE(_native, m) {
  // Looked up once; kept alive for the life of the process, as the translator is.
  static PyObject* argument_error =
      nb::object(nb::module_::import_("lightrec.errors").attr("ArgumentError")).release().ptr();
  nb::register_exception_translator([](const std::exception_ptr& pending, void*) {
    try {
      std::rethrow_exception(pending);
    } catch (const ArgumentError& error) {
      PyErr_SetString(argument_error, error.what());
    }
  });

  nb::class_<ScoreTableBuilder>(m, "ScoreTableBuilder")
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

  nb::class_<Scan>(m, "Scan")
      .def("__init__", &init_scan, nb::arg("codes").noconvert(), "num_codewords"_a)
      .def("top_k", &scan_top_k, nb::arg("table").noconvert(), "k"_a,
           nb::arg("exclude").noconvert() = nb::none(), nb::arg("allow").noconvert() = nb::none())
      .def("top_k_batch", &scan_top_k_batch, nb::arg("tables").noconvert(), "k"_a,
           nb::arg("exclude_indptr").noconvert() = nb::none(),
           nb::arg("exclude_rows").noconvert() = nb::none(), nb::arg("allow").noconvert() = nb::none(),
           "threads"_a = 1);

  nb::class_<OwnedBoundScan>(m, "BoundScan")
      .def("__init__", &init_bound_scan, nb::arg("codes").noconvert(), "num_codewords"_a,
           nb::arg("labels").noconvert(), "instruction_set"_a, "cells"_a)
      .def("top_k", &bound_scan_top_k, nb::arg("table").noconvert(), "k"_a,
           nb::arg("exclude").noconvert() = nb::none(), nb::arg("allow").noconvert() = nb::none());

  nb::class_<UserFit>(m, "UserFit")
      .def("__init__", &init_user_fit, nb::arg("codes").noconvert(), "num_codewords"_a)
      .def("fit_tables", &fit_user_tables, nb::arg("teacher_scores").noconvert(),
           nb::arg("seen_indptr").noconvert().none(), nb::arg("seen_rows").noconvert().none(),
           nb::arg("catalogue").noconvert(), "candidates"_a, "false_positives"_a, "catalogue_weight"_a,
           "ridge"_a, nb::arg("start").noconvert(), "threads"_a)
      .def("fit_vectors", &fit_user_vectors, nb::arg("teacher_scores").noconvert(),
           nb::arg("seen_indptr").noconvert().none(), nb::arg("seen_rows").noconvert().none(),
           nb::arg("catalogue").noconvert(), "candidates"_a, "false_positives"_a, "catalogue_weight"_a,
           "ridge"_a, nb::arg("start").noconvert(), nb::arg("codebooks").noconvert(), "threads"_a)
      .def("candidates", &user_candidates, nb::arg("teacher_scores").noconvert(),
           nb::arg("seen_indptr").noconvert().none(), nb::arg("seen_rows").noconvert().none(),
           nb::arg("catalogue").noconvert(), "candidates"_a, "false_positives"_a, "catalogue_weight"_a,
           nb::arg("tables").noconvert(), "threads"_a)
      .def("residual_tables", &user_residual_tables, nb::arg("indptr").noconvert(),
           nb::arg("rows").noconvert(), nb::arg("targets").noconvert().none(), nb::arg("weights").noconvert(),
           nb::arg("tables").noconvert(), "threads"_a);

  m.def("scores", &all_scores, nb::arg("codes").noconvert(), nb::arg("tables").noconvert(), "threads"_a);
  m.def("encode", &encode_vectors, nb::arg("inner").noconvert(), nb::arg("gram").noconvert(), "beam"_a,
        "sweeps"_a, nb::arg("start").noconvert(), "threads"_a);
}

}  // namespace lightrec
