// Users that are vectors, fitted to the items where their ranking is decided.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "conjugate_gradients.hpp"
#include "packed_codes.hpp"
#include "score_table.hpp"
#include "user_candidates.hpp"

namespace lightrec {

// Codebooks as tables are built from them and as items are decoded from them: codewords padded with zeros to
// whole registers.
struct PaddedCodebooks {
  // codebooks: (books, count, size), row-major.
  PaddedCodebooks(const float* codebooks, std::size_t books, std::size_t count, std::size_t size);

  const float* word(std::size_t book, std::size_t code) const {
    return words.data() + (book * num_codewords + code) * padded;
  }

  std::size_t num_codebooks, num_codewords, width, padded;
  std::vector<float> words;  // (B, W, padded)
  ScoreTableBuilder tables;
};

// The catalogue rows of one round, decoded once for all users, less their mean.
class DecodedCatalogue {
 public:
  // weight: of one row.
  DecodedCatalogue(const PackedCodes& codes, const PaddedCodebooks& codebooks, const std::int32_t* rows,
                   std::size_t count, float weight);

  std::size_t size() const { return size_; }
  float weight() const { return weight_; }
  const float* mean() const { return mean_.data(); }        // zero where there are no rows
  const float* row(std::size_t place) const { return rows_.data() + place * width_; }
  const float* scatter() const { return scatter_.data(); }  // (padded, padded), sum of weight * row row'
  const TableEntries& entries() const { return entries_; }  // of the rows, in a score table

 private:
  std::size_t size_, width_;
  float weight_;
  TableEntries entries_;
  std::vector<float> mean_, rows_, scatter_;  // rows: completed with zeros to a multiple of four
};

// Vectors as the users' form: the unknowns are the `width` numbers of a user. The free intercept is profiled
// out: candidates and targets are taken less their weighted means. Working space for one user after another.
//
// The candidates are two groups, the user's own and the catalogue's. Their scatter about the common mean is
// the sum of each group's about its own mean and of one row for the way between the means. All users share
// the second but for what each has seen, so that most of a system is one matrix, made once.
class VectorForm {
 public:
  VectorForm(const PackedCodes& codes, const PaddedCodebooks& codebooks,
             const std::vector<std::optional<DecodedCatalogue>>& catalogues, float ridge, float* vectors);

  // The score tables of some users as they stand; borrowed until the next call.
  const float* tables(std::size_t first_user, std::size_t count);

  // One round for one user of the picker, whose score table is given.
  void step(const CandidatePicker& picker, std::size_t place, std::size_t round, const float* table,
            std::size_t user);

 private:
  struct Mean {
    float weight = 0.0F, residual = 0.0F;  // total weight, mean of target - score
  };

  Mean add_own(const float* origin);
  Mean add_catalogue(const DecodedCatalogue& catalogue, const float* table);
  float* add_row(float weight);
  void settle_row(const float* row, float residual, float weight);
  void find_words(std::size_t item);
  void solve(const DecodedCatalogue* catalogue, float* vector);

  const PackedCodes& codes_;
  const PaddedCodebooks& codebooks_;
  const std::vector<std::optional<DecodedCatalogue>>& catalogues_;
  std::size_t width_;  // padded
  float ridge_;
  float* vectors_;
  Candidates own_;
  CatalogueTargets targets_;
  std::vector<const float*> words_;
  std::vector<float> tables_, rows_, weights_, own_mean_, catalogue_mean_, vector_, residuals_;
  ConjugateGradients solver_;
};

}  // namespace lightrec
