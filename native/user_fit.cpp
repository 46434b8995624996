#include "user_fit.hpp"

#include <algorithm>

#include "conjugate_gradients.hpp"
#include "eight_queries.hpp"
#include "instruction_sets.hpp"
#include "parallel.hpp"
#include "user_candidates.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kEight = 8;       // floats in a vector register
constexpr std::size_t kRowsAtOnce = 4;  // decoded rows that share a pass over the direction

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

  void step(std::size_t user, const Candidates& candidates) {
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
  ConjugateGradients solver_;
};

// Codebooks as tables are built from them and as items are decoded from them: codewords padded with zeros to
// whole registers.
struct Codebooks {
  // codebooks: (books, count, size), row-major.
  Codebooks(const float* codebooks, std::size_t books, std::size_t count, std::size_t size)
      : num_codewords(count),
        width(size),
        padded((size + kEight - 1) / kEight * kEight),
        words(books * count * padded),
        tables(codebooks, books, count, size) {
    for (std::size_t word = 0; word < books * count; ++word) {
      std::copy_n(codebooks + word * size, size, words.data() + word * padded);
    }
  }

  std::size_t num_codewords, width, padded;
  std::vector<float> words;  // (B, W, padded)
  ScoreTableBuilder tables;
};

// Eight floats in the middle of an array.
using Eight = float __attribute__((vector_size(32), aligned(4), may_alias));

LIGHTREC_INLINE const Eight& eight(const float* values) { return *reinterpret_cast<const Eight*>(values); }
LIGHTREC_INLINE Eight& eight(float* values) { return *reinterpret_cast<Eight*>(values); }

LIGHTREC_INLINE float total(const Eight& sums) {
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

// Adds weight * <row, direction> * row of four rows to `applied`; width is a multiple of eight. Named one by
// one because the sums have to stay in registers.
LIGHTREC_MULTIVERSIONED
void apply_four(const float* rows, const float* weights, const float* direction, std::size_t width,
                float* applied) {
  const float *a = rows, *b = a + width, *c = b + width, *d = c + width;
  Eight sum_a = {}, sum_b = {}, sum_c = {}, sum_d = {};
  for (std::size_t i = 0; i < width; i += kEight) {
    const Eight x = eight(direction + i);
    sum_a += eight(a + i) * x;
    sum_b += eight(b + i) * x;
    sum_c += eight(c + i) * x;
    sum_d += eight(d + i) * x;
  }
  const float by_a = weights[0] * total(sum_a), by_b = weights[1] * total(sum_b);
  const float by_c = weights[2] * total(sum_c), by_d = weights[3] * total(sum_d);
  for (std::size_t i = 0; i < width; i += kEight) {
    eight(applied + i) +=
        (eight(a + i) * by_a + eight(b + i) * by_b) + (eight(c + i) * by_c + eight(d + i) * by_d);
  }
}

// The sum of an item's codewords; `weight` times it is added to `mean`.
LIGHTREC_MULTIVERSIONED
void decode(const float* const* words, std::size_t num_words, float weight, std::size_t width, float* row,
            float* mean) {
  for (std::size_t i = 0; i < width; i += kEight) {
    Eight sum = eight(words[0] + i);
    for (std::size_t b = 1; b < num_words; ++b) sum += eight(words[b] + i);
    eight(row + i) = sum;
    eight(mean + i) += sum * weight;
  }
}

// Takes the mean off a row and returns what is left of its product with a vector.
LIGHTREC_MULTIVERSIONED
float centre_and_score(const float* mean, const float* vector, std::size_t width, float* row) {
  Eight sum = {};
  for (std::size_t i = 0; i < width; i += kEight) {
    eight(row + i) -= eight(mean + i);
    sum += eight(row + i) * eight(vector + i);
  }
  return total(sum);
}

LIGHTREC_MULTIVERSIONED
void add_row(const float* row, float residual, float weight, std::size_t width, float* right_side,
             float* diagonal) {
  for (std::size_t i = 0; i < width; i += kEight) {
    const Eight x = eight(row + i);
    eight(right_side + i) += x * residual;
    eight(diagonal + i) += x * x * weight;
  }
}

// Vectors as the users' form: the unknowns are the `width` numbers of a user. The free intercept is profiled
// out: candidates and targets are taken less their weighted means.
class VectorForm {
 public:
  VectorForm(const PackedCodes& codes, const Codebooks& codebooks, float ridge, float* vectors)
      : codes_(codes),
        codebooks_(codebooks),
        width_(codebooks.padded),
        ridge_(ridge),
        vectors_(vectors),
        words_(codes.num_codebooks()),
        mean_(width_),
        vector_(width_),
        solver_(width_) {}

  const float* tables(std::size_t first_user, std::size_t count) {
    tables_.resize(count * codes_.num_codebooks() * codebooks_.num_codewords);
    codebooks_.tables.build(vectors_ + first_user * codebooks_.width, count, tables_.data());
    return tables_.data();
  }

  void step(std::size_t user, const Candidates& candidates) {
    float* vector = vectors_ + user * codebooks_.width;
    std::copy_n(vector, codebooks_.width, vector_.data());
    const float mean_target = decode_all(candidates);
    float *diagonal = solver_.diagonal(), *right_side = solver_.right_side();
    std::fill_n(diagonal, width_, ridge_);
    std::fill_n(right_side, width_, 0.0F);
    for (std::size_t j = 0; j < candidates.size(); ++j) {
      float* row = rows_.data() + j * width_;
      const float score = centre_and_score(mean_.data(), vector_.data(), width_, row);
      const float residual = (candidates.targets[j] - mean_target) - score;
      add_row(row, weights_[j] * residual, weights_[j], width_, right_side, diagonal);
    }
    const float* step = solver_.solve([&](const float* direction, float* applied) {
      scale(direction, ridge_, width_, applied);
      for (std::size_t j = 0; j < weights_.size(); j += kRowsAtOnce) {
        apply_four(rows_.data() + j * width_, weights_.data() + j, direction, width_, applied);
      }
    });
    add_scaled(step, 1.0F, codebooks_.width, vector);
  }

 private:
  // Decodes the candidates, and finds their weighted mean; returns that of the targets. Rows of weight 0
  // complete the last four.
  float decode_all(const Candidates& candidates) {
    const std::size_t count = candidates.size();
    weights_ = candidates.weights;
    weights_.resize((count + kRowsAtOnce - 1) / kRowsAtOnce * kRowsAtOnce, 0.0F);
    rows_.resize(weights_.size() * width_);
    std::fill(rows_.begin() + static_cast<std::ptrdiff_t>(count * width_), rows_.end(), 0.0F);
    std::fill(mean_.begin(), mean_.end(), 0.0F);
    double target = 0.0, weight = 0.0;
    for (std::size_t j = 0; j < count; ++j) {
      find_words(static_cast<std::size_t>(candidates.rows[j]));
      decode(words_.data(), words_.size(), weights_[j], width_, rows_.data() + j * width_, mean_.data());
      target += static_cast<double>(weights_[j]) * static_cast<double>(candidates.targets[j]);
      weight += static_cast<double>(weights_[j]);
    }
    if (weight == 0.0) return 0.0F;
    scale(mean_.data(), static_cast<float>(1.0 / weight), width_, mean_.data());
    return static_cast<float>(target / weight);
  }

  void find_words(std::size_t item) {
    const std::uint8_t* code = codes_.item(item);
    for (std::size_t b = 0; b < words_.size(); ++b) {
      words_[b] = codebooks_.words.data() + (b * codebooks_.num_codewords + code[b * kBlock]) * width_;
    }
  }

  const PackedCodes& codes_;
  const Codebooks& codebooks_;
  std::size_t width_;  // padded
  float ridge_;
  float* vectors_;
  std::vector<const float*> words_;
  std::vector<float> tables_, rows_, weights_, mean_, vector_;
  ConjugateGradients solver_;
};

// Calls work(first, count) for pieces of at most eight users: few enough for every thread to have one.
template <typename Work>
void for_user_groups(std::size_t num_users, std::size_t threads, const Work& work) {
  const std::size_t size = std::clamp<std::size_t>(num_users / std::max<std::size_t>(threads, 1), 1, kLanes);
  parallel_for((num_users + size - 1) / size, threads, [&](std::size_t piece) {
    const std::size_t first = piece * size;
    work(first, std::min(size, num_users - first));
  });
}

template <typename Form>
void fit_group(const UserFitProblem& problem, CandidatePicker& picker, std::size_t first, std::size_t count,
               Form& form) {
  Candidates candidates;
  for (std::size_t round = 0; round < problem.rounds; ++round) {
    picker.pick(form.tables(first, count));
    for (std::size_t u = 0; u < count; ++u) {
      picker.list(u, round, candidates);
      form.step(first + u, candidates);
    }
  }
}

}  // namespace

void UserFit::fit_tables(const UserFitProblem& problem, std::size_t threads, float* tables) const {
  for_user_groups(problem.num_users, threads, [&](std::size_t first, std::size_t count) {
    CandidatePicker picker(problem, codes_, num_codewords_, first, count);
    TableForm form(codes_, num_codewords_, problem.ridge, tables);
    fit_group(problem, picker, first, count, form);
  });
}

void UserFit::fit_vectors(const UserFitProblem& problem, const float* codebooks, std::size_t width,
                          std::size_t threads, float* vectors) const {
  const Codebooks books(codebooks, num_codebooks(), num_codewords_, width);
  for_user_groups(problem.num_users, threads, [&](std::size_t first, std::size_t count) {
    CandidatePicker picker(problem, codes_, num_codewords_, first, count);
    VectorForm form(codes_, books, problem.ridge, vectors);
    fit_group(problem, picker, first, count, form);
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
