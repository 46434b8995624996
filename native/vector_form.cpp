#include "vector_form.hpp"

#include <algorithm>

#include "eight_floats.hpp"
#include "instruction_sets.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kEight = 8;       // floats in a vector register
constexpr std::size_t kRowsAtOnce = 4;  // rows that share a pass over a vector

LIGHTREC_INLINE float total(const Eight& sums) {
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

constexpr std::size_t whole_fours(std::size_t count) {
  return (count + kRowsAtOnce - 1) / kRowsAtOnce * kRowsAtOnce;
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

// Adds factor * row of four rows to `sum`.
LIGHTREC_MULTIVERSIONED
void add_four(const float* rows, const float* factors, std::size_t width, float* sum) {
  const float *a = rows, *b = a + width, *c = b + width, *d = c + width;
  const float by_a = factors[0], by_b = factors[1], by_c = factors[2], by_d = factors[3];
  for (std::size_t i = 0; i < width; i += kEight) {
    eight(sum + i) +=
        (eight(a + i) * by_a + eight(b + i) * by_b) + (eight(c + i) * by_c + eight(d + i) * by_d);
  }
}

// The sum of an item's codewords, less the origin; `weight` times it is added to `mean`.
LIGHTREC_MULTIVERSIONED
void decode(const float* const* words, std::size_t num_words, const float* origin, float weight,
            std::size_t width, float* row, float* mean) {
  for (std::size_t i = 0; i < width; i += kEight) {
    Eight sum = eight(words[0] + i);
    for (std::size_t b = 1; b < num_words; ++b) sum += eight(words[b] + i);
    sum -= eight(origin + i);
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
void add_to_sides(const float* row, float residual, float weight, std::size_t width, float* right_side,
                  float* diagonal) {
  for (std::size_t i = 0; i < width; i += kEight) {
    const Eight x = eight(row + i);
    eight(right_side + i) += x * residual;
    eight(diagonal + i) += x * x * weight;
  }
}

}  // namespace

PaddedCodebooks::PaddedCodebooks(const float* codebooks, std::size_t books, std::size_t count,
                                 std::size_t size)
    : num_codebooks(books),
      num_codewords(count),
      width(size),
      padded((size + kEight - 1) / kEight * kEight),
      words(books * count * padded),
      tables(codebooks, books, count, size) {
  for (std::size_t word = 0; word < books * count; ++word) {
    std::copy_n(codebooks + word * size, size, words.data() + word * padded);
  }
}

DecodedCatalogue::DecodedCatalogue(const PackedCodes& codes, const PaddedCodebooks& codebooks,
                                   const std::int32_t* rows, std::size_t count, float weight)
    : size_(count),
      width_(codebooks.padded),
      weight_(weight),
      entries_(codes, codebooks.num_codewords),
      mean_(width_, 0.0F),
      rows_(whole_fours(count) * width_, 0.0F),
      scatter_(width_ * width_, 0.0F) {
  if (count == 0) return;
  entries_.find(rows, count);
  std::vector<float> sums(width_, 0.0F);  // added up by rows, to keep what is small beside what is large
  const std::vector<float> nothing(width_, 0.0F);
  std::vector<const float*> words(codebooks.num_codebooks);
  for (std::size_t j = 0; j < count; ++j) {
    const std::uint8_t* code = codes.item(static_cast<std::size_t>(rows[j]));
    for (std::size_t b = 0; b < words.size(); ++b) words[b] = codebooks.word(b, code[b * kBlock]);
    decode(words.data(), words.size(), nothing.data(), 1.0F, width_, rows_.data() + j * width_, sums.data());
  }
  scale(sums.data(), 1.0F / static_cast<float>(count), width_, mean_.data());
  for (std::size_t j = 0; j < count; ++j) add_scaled(mean_.data(), -1.0F, width_, rows_.data() + j * width_);
  for (std::size_t i = 0; i < width_; ++i) {
    for (std::size_t j = 0; j < count; j += kRowsAtOnce) {
      float factors[kRowsAtOnce];
      for (std::size_t r = 0; r < kRowsAtOnce; ++r) factors[r] = weight * rows_[(j + r) * width_ + i];
      add_four(rows_.data() + j * width_, factors, width_, scatter_.data() + i * width_);
    }
  }
}

VectorForm::VectorForm(const PackedCodes& codes, const PaddedCodebooks& codebooks,
                       const std::vector<std::optional<DecodedCatalogue>>& catalogues, float ridge, float* vectors)
    : codes_(codes),
      codebooks_(codebooks),
      catalogues_(catalogues),
      width_(codebooks.padded),
      ridge_(ridge),
      vectors_(vectors),
      words_(codebooks.num_codebooks),
      own_mean_(width_),
      catalogue_mean_(width_),
      vector_(width_),
      solver_(width_) {}

const float* VectorForm::tables(std::size_t first_user, std::size_t count) {
  tables_.resize(count * codebooks_.num_codebooks * codebooks_.num_codewords);
  codebooks_.tables.build(vectors_ + first_user * codebooks_.width, count, tables_.data());
  return tables_.data();
}

void VectorForm::step(const CandidatePicker& picker, std::size_t place, std::size_t round, const float* table,
                      std::size_t user) {
  const DecodedCatalogue& catalogue = *catalogues_[round];
  picker.list_own(place, own_);
  picker.list_catalogue(place, round, targets_);
  float* vector = vectors_ + user * codebooks_.width;
  std::copy_n(vector, codebooks_.width, vector_.data());
  rows_.clear();
  weights_.clear();
  std::fill_n(solver_.diagonal(), width_, ridge_);
  std::fill_n(solver_.right_side(), width_, 0.0F);

  const Mean own = add_own(catalogue.mean());
  const Mean rest = add_catalogue(catalogue, table);
  if (own.weight > 0.0F && rest.weight > 0.0F) {
    const float weight = own.weight / (own.weight + rest.weight) * rest.weight;
    float* between = add_row(weight);
    std::copy_n(own_mean_.data(), width_, between);
    add_scaled(catalogue_mean_.data(), -1.0F, width_, between);
    settle_row(between, own.residual - rest.residual, weight);
  }
  solve(rest.weight > 0.0F ? &catalogue : nullptr, vector);
}

// The user's own candidates, about their weighted mean; own_mean_ is measured from the origin.
VectorForm::Mean VectorForm::add_own(const float* origin) {
  const std::size_t count = own_.size();
  std::fill(own_mean_.begin(), own_mean_.end(), 0.0F);
  if (count == 0) return {};
  double sum = 0.0, total = 0.0;
  for (std::size_t j = 0; j < count; ++j) {
    find_words(static_cast<std::size_t>(own_.rows[j]));
    const float weight = own_.weights[j];
    float* row = add_row(weight);
    decode(words_.data(), words_.size(), origin, weight, width_, row, own_mean_.data());
    sum += static_cast<double>(weight) * static_cast<double>(own_.targets[j]);
    total += static_cast<double>(weight);
  }
  scale(own_mean_.data(), static_cast<float>(1.0 / total), width_, own_mean_.data());
  const auto target = static_cast<float>(sum / total);
  for (std::size_t j = 0; j < count; ++j) {
    float* row = rows_.data() + j * width_;
    const float score = centre_and_score(own_mean_.data(), vector_.data(), width_, row);
    settle_row(row, (own_.targets[j] - target) - score, own_.weights[j]);
  }
  const double score =
      dot(own_mean_.data(), vector_.data(), width_) + dot(origin, vector_.data(), width_);
  return {static_cast<float>(total), static_cast<float>(static_cast<double>(target) - score)};
}

// The catalogue's rows but for those that the user has seen, which are taken off the shared matrix again;
// catalogue_mean_ is that of the others, measured from the mean of all.
VectorForm::Mean VectorForm::add_catalogue(const DecodedCatalogue& catalogue, const float* table) {
  std::fill(catalogue_mean_.begin(), catalogue_mean_.end(), 0.0F);
  const std::size_t unseen = catalogue.size() - targets_.seen.size();
  if (unseen == 0 || catalogue.weight() == 0.0F) return {};
  const float one = catalogue.weight(), all = one * static_cast<float>(unseen);

  residuals_.assign(whole_fours(catalogue.size()), 0.0F);
  catalogue.entries().for_each([&](std::size_t j, const std::uint16_t* entries, std::size_t books) {
    residuals_[j] = targets_.scores[j] - sum_at(table, entries, books);
  });
  for (const std::uint32_t place : targets_.seen) residuals_[place] = 0.0F;
  double sum = 0.0;
  for (const float residual : residuals_) sum += static_cast<double>(residual);
  const auto mean = static_cast<float>(sum / static_cast<double>(unseen));
  for (std::size_t j = 0; j < catalogue.size(); ++j) residuals_[j] = one * (residuals_[j] - mean);

  for (const std::uint32_t place : targets_.seen) {
    residuals_[place] = 0.0F;
    float* row = add_row(-one);
    std::copy_n(catalogue.row(place), width_, row);
    settle_row(row, 0.0F, -one);
    add_scaled(row, -one / all, width_, catalogue_mean_.data());
  }
  for (std::size_t j = 0; j < catalogue.size(); j += kRowsAtOnce) {
    add_four(catalogue.row(j), residuals_.data() + j, width_, solver_.right_side());
  }
  if (!targets_.seen.empty()) {
    float* row = add_row(-all);
    std::copy_n(catalogue_mean_.data(), width_, row);
    settle_row(row, 0.0F, -all);
  }
  for (std::size_t i = 0; i < width_; ++i) solver_.diagonal()[i] += catalogue.scatter()[i * width_ + i];
  return {all, mean};
}

// Room for one more row; pointers to the others do not outlive it.
float* VectorForm::add_row(float weight) {
  weights_.push_back(weight);
  rows_.resize(weights_.size() * width_);
  return rows_.data() + (weights_.size() - 1) * width_;
}

void VectorForm::settle_row(const float* row, float residual, float weight) {
  add_to_sides(row, weight * residual, weight, width_, solver_.right_side(), solver_.diagonal());
}

void VectorForm::find_words(std::size_t item) {
  const std::uint8_t* code = codes_.item(item);
  for (std::size_t b = 0; b < words_.size(); ++b) words_[b] = codebooks_.word(b, code[b * kBlock]);
}

void VectorForm::solve(const DecodedCatalogue* catalogue, float* vector) {
  weights_.resize(whole_fours(weights_.size()), 0.0F);
  rows_.resize(weights_.size() * width_);
  float* diagonal = solver_.diagonal();
  for (std::size_t i = 0; i < width_; ++i) diagonal[i] = std::max(diagonal[i], ridge_);  // but for rounding
  const float* step = solver_.solve([&](const float* direction, float* applied) {
    scale(direction, ridge_, width_, applied);
    for (std::size_t j = 0; j < weights_.size(); j += kRowsAtOnce) {
      apply_four(rows_.data() + j * width_, weights_.data() + j, direction, width_, applied);
    }
    if (catalogue == nullptr) return;
    for (std::size_t i = 0; i < width_; i += kRowsAtOnce) {
      add_four(catalogue->scatter() + i * width_, direction + i, width_, applied);
    }
  });
  add_scaled(step, 1.0F, codebooks_.width, vector);
}

}  // namespace lightrec
