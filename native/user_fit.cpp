#include "user_fit.hpp"

#include <algorithm>
#include <optional>

#include "conjugate_gradients.hpp"
#include "eight_queries.hpp"
#include "instruction_sets.hpp"
#include "parallel.hpp"
#include "user_candidates.hpp"
#include "vector_form.hpp"

namespace lightrec {
namespace {

// Score tables of their own as the users' form: the unknowns are the B * W entries.
class TableForm {
 public:
  TableForm(const PackedCodes& codes, std::size_t num_codewords, float ridge, float* tables)
      : size_(codes.num_codebooks() * num_codewords),
        ridge_(ridge),
        tables_(tables),
        entries_(codes, num_codewords),
        solver_(size_) {}

  const float* tables(std::size_t first_user, std::size_t) const { return tables_ + first_user * size_; }

  void step(const CandidatePicker& picker, std::size_t place, std::size_t round, const float*,
            std::size_t user) {
    Candidates& candidates = candidates_;
    picker.list(place, round, candidates);
    float* table = tables_ + user * size_;
    const float* weights = candidates.weights.data();
    const float* targets = candidates.targets.data();
    entries_.find(candidates.rows.data(), candidates.size());
    float *diagonal = solver_.diagonal(), *right_side = solver_.right_side();
    std::fill_n(diagonal, size_, ridge_);
    std::fill_n(right_side, size_, 0.0F);
    entries_.for_each([&](std::size_t j, const std::uint16_t* entries, std::size_t books) {
      add_at(diagonal, entries, books, weights[j]);
      add_at(right_side, entries, books, weights[j] * (targets[j] - sum_at(table, entries, books)));
    });
    const float* step = solver_.solve([&](const float* direction, float* applied) {
      scale(direction, ridge_, size_, applied);
      entries_.for_each([=](std::size_t j, const std::uint16_t* entries, std::size_t books) {
        add_at(applied, entries, books, weights[j] * sum_at(direction, entries, books));
      });
    });
    add_scaled(step, 1.0F, size_, table);
  }

 private:
  std::size_t size_;
  float ridge_;
  float* tables_;
  TableEntries entries_;
  Candidates candidates_;
  ConjugateGradients solver_;
};

// Calls work(first, count) for pieces of at most eight users: few enough for every thread to have one.
template <typename Work>
void for_user_groups(std::size_t num_users, std::size_t threads, const Work& work) {
  const std::size_t size = std::clamp<std::size_t>(num_users / std::max<std::size_t>(threads, 1), 1, kQueries);
  parallel_for((num_users + size - 1) / size, threads, [&](std::size_t piece) {
    const std::size_t first = piece * size;
    work(first, std::min(size, num_users - first));
  });
}

// table_size: of one user.
template <typename Form>
void fit_group(const UserFitProblem& problem, CandidatePicker& picker, std::size_t first, std::size_t count,
               std::size_t table_size, Form& form) {
  for (std::size_t round = 0; round < problem.rounds; ++round) {
    const float* tables = form.tables(first, count);
    picker.pick(tables);
    for (std::size_t u = 0; u < count; ++u) form.step(picker, u, round, tables + u * table_size, first + u);
  }
}

}  // namespace

void UserFit::fit_tables(const UserFitProblem& problem, std::size_t threads, float* tables) const {
  for_user_groups(problem.num_users, threads, [&](std::size_t first, std::size_t count) {
    CandidatePicker picker(problem, codes_, num_codewords_, first, count);
    TableForm form(codes_, num_codewords_, problem.ridge, tables);
    fit_group(problem, picker, first, count, table_size(), form);
  });
}

void UserFit::fit_vectors(const UserFitProblem& problem, const float* codebooks, std::size_t width,
                          std::size_t threads, float* vectors) const {
  const PaddedCodebooks books(codebooks, num_codebooks(), num_codewords_, width);
  std::vector<std::optional<DecodedCatalogue>> decoded(problem.rounds);
  parallel_for(problem.rounds, threads, [&](std::size_t round) {
    const std::int32_t* rows = problem.catalogue + round * problem.catalogue_size;
    decoded[round].emplace(codes_, books, rows, problem.catalogue_size, problem.catalogue_weight);
  });
  for_user_groups(problem.num_users, threads, [&](std::size_t first, std::size_t count) {
    CandidatePicker picker(problem, codes_, num_codewords_, first, count);
    VectorForm form(codes_, books, decoded, problem.ridge, vectors);
    fit_group(problem, picker, first, count, table_size(), form);
  });
}

std::vector<Candidates> UserFit::candidates(const UserFitProblem& problem, const float* tables,
                                            std::size_t threads) const {
  std::vector<Candidates> lists(problem.num_users);
  for_user_groups(problem.num_users, threads, [&](std::size_t first, std::size_t count) {
    CandidatePicker picker(problem, codes_, num_codewords_, first, count);
    picker.pick(tables + first * table_size());
    for (std::size_t u = 0; u < count; ++u) picker.list(u, 0, lists[first + u]);
  });
  return lists;
}

void UserFit::residual_tables(const CandidateLists& lists, const float* tables, std::size_t threads,
                              float* residuals) const {
  for_user_groups(lists.num_users, threads, [&](std::size_t first, std::size_t count) {
    TableEntries entries(codes_, num_codewords_);
    std::vector<float> differences;
    for (std::size_t u = first; u < first + count; ++u) {
      const auto begin = static_cast<std::size_t>(lists.indptr[u]);
      const std::size_t size = static_cast<std::size_t>(lists.indptr[u + 1]) - begin;
      const float* table = tables + u * table_size();
      const float* weights = lists.weights + begin;
      float* residual = residuals + u * table_size();
      differences.resize(size);
      entries.find(lists.rows + begin, size);
      double mean = 0.0, total = 0.0;
      entries.for_each([&](std::size_t j, const std::uint16_t* at, std::size_t books) {
        const float target = lists.targets == nullptr ? 0.0F : lists.targets[begin + j];
        differences[j] = target - sum_at(table, at, books);
        mean += static_cast<double>(weights[j]) * static_cast<double>(differences[j]);
        total += static_cast<double>(weights[j]);
      });
      mean = total > 0.0 ? mean / total : 0.0;
      std::fill_n(residual, table_size(), 0.0F);
      entries.for_each([&](std::size_t j, const std::uint16_t* at, std::size_t books) {
        add_at(residual, at, books, weights[j] * (differences[j] - static_cast<float>(mean)));
      });
    }
  });
}

}  // namespace lightrec
