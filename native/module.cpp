// The extension module: checks what Python passes, releases the GIL, calls a kernel.
#include <algorithm>
#include <vector>

#include "bindings.hpp"
#include "encode.hpp"
#include "scores.hpp"
#include "user_fit.hpp"

using namespace nanobind::literals;

namespace lightrec {
namespace {

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

constexpr float kLargestTeacherScore = 1e30F;  // sums of them, and of products with weights, stay finite
constexpr float kLargestWeight = 1e6F;

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
            const Input<std::int32_t, 2>& catalogue, const Input<float, 1>& rank_weights,
            std::size_t false_positives, float catalogue_weight, float ridge)
      : problem{teacher_scores.data(),
                nullptr,
                catalogue.data(),
                teacher_scores.shape(0),
                catalogue.shape(0),
                catalogue.shape(1),
                rank_weights.size() - 1,
                rank_weights.data(),
                std::min(false_positives, fit.num_items()),
                catalogue_weight,
                ridge} {
    require(teacher_scores.shape(1) == fit.num_items(), "teacher_scores must have one column for each item");
    require(rank_weights.size() >= 2, "rank_weights must be of one candidate of the teacher's, and one more");
    require(all_within(rank_weights.data(), rank_weights.size(), kLargestWeight) &&
                *std::min_element(rank_weights.data(), rank_weights.data() + rank_weights.size()) > 0.0F,
            "rank_weights must be above 0, and not too large");
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
         checked_filters(problem.num_users, fit.num_items(), seen_indptr, seen_rows, RowFilter{})) {
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
                                 const Input<float, 1>& rank_weights, std::size_t false_positives, float catalogue_weight,
                                 float ridge, const Input<float, 3>& start, std::size_t threads) {
  const UserBlock block(fit, teacher_scores, seen_indptr, seen_rows, catalogue, rank_weights, false_positives,
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
                                  const Input<float, 1>& rank_weights, std::size_t false_positives, float catalogue_weight,
                                  float ridge, const Input<float, 2>& start, const Input<float, 3>& codebooks,
                                  std::size_t threads) {
  const UserBlock block(fit, teacher_scores, seen_indptr, seen_rows, catalogue, rank_weights, false_positives,
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
                          const Input<float, 1>& rank_weights, std::size_t false_positives, float catalogue_weight,
                          const Input<float, 3>& tables, std::size_t threads) {
  const UserBlock block(fit, teacher_scores, seen_indptr, seen_rows, catalogue, rank_weights, false_positives,
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

  bind_search(m);
  bind_training(m);

  nb::class_<UserFit>(m, "UserFit")
      .def("__init__", &init_user_fit, nb::arg("codes").noconvert(), "num_codewords"_a)
      .def("fit_tables", &fit_user_tables, nb::arg("teacher_scores").noconvert(),
           nb::arg("seen_indptr").noconvert().none(), nb::arg("seen_rows").noconvert().none(),
           nb::arg("catalogue").noconvert(), nb::arg("rank_weights").noconvert(), "false_positives"_a, "catalogue_weight"_a,
           "ridge"_a, nb::arg("start").noconvert(), "threads"_a)
      .def("fit_vectors", &fit_user_vectors, nb::arg("teacher_scores").noconvert(),
           nb::arg("seen_indptr").noconvert().none(), nb::arg("seen_rows").noconvert().none(),
           nb::arg("catalogue").noconvert(), nb::arg("rank_weights").noconvert(), "false_positives"_a, "catalogue_weight"_a,
           "ridge"_a, nb::arg("start").noconvert(), nb::arg("codebooks").noconvert(), "threads"_a)
      .def("candidates", &user_candidates, nb::arg("teacher_scores").noconvert(),
           nb::arg("seen_indptr").noconvert().none(), nb::arg("seen_rows").noconvert().none(),
           nb::arg("catalogue").noconvert(), nb::arg("rank_weights").noconvert(), "false_positives"_a, "catalogue_weight"_a,
           nb::arg("tables").noconvert(), "threads"_a)
      .def("residual_tables", &user_residual_tables, nb::arg("indptr").noconvert(),
           nb::arg("rows").noconvert(), nb::arg("targets").noconvert().none(), nb::arg("weights").noconvert(),
           nb::arg("tables").noconvert(), "threads"_a);

  m.def("scores", &all_scores, nb::arg("codes").noconvert(), nb::arg("tables").noconvert(), "threads"_a);
  m.def("encode", &encode_vectors, nb::arg("inner").noconvert(), nb::arg("gram").noconvert(), "beam"_a,
        "sweeps"_a, nb::arg("start").noconvert(), "threads"_a);
}

}  // namespace lightrec
