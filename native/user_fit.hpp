// Users fitted to the codes in closed form, so that few bytes an item rank as the teacher does: P2 of Eq. 9,
// one user at a time, on the items where a ranking is decided.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "packed_codes.hpp"
#include "user_candidates.hpp"

namespace lightrec {

// Candidates of many users in compressed rows: user u has the entries indptr[u] to indptr[u + 1].
struct CandidateLists {
  const std::int64_t* indptr;
  const std::int32_t* rows;
  const float* weights;
  const float* targets;  // null where they are all 0
  std::size_t num_users;
};

// The catalogue, packed once and used for many blocks; safe to use from several threads. Answers depend
// neither on the threads nor on which users share a block.
class UserFit {
 public:
  // codes: (num_items, num_codebooks), every code below num_codewords.
  UserFit(const std::uint8_t* codes, std::size_t num_items, std::size_t num_codebooks,
          std::size_t num_codewords)
      : num_codewords_(num_codewords), codes_(codes, num_items, num_codebooks) {}

  // tables: (num_users, num_codebooks, num_codewords), fitted in place. A round picks candidates and
  // minimises sum of weight * (score - target)^2 + ridge * |step|^2, a score being the sum of B entries.
  void fit_tables(const UserFitProblem& problem, std::size_t threads, float* tables) const;

  // vectors: (num_users, width), fitted in place. A score is the product with the decoded item plus a free
  // intercept that is thrown away: it is the same for all items. codebooks: (B, W, width).
  void fit_vectors(const UserFitProblem& problem, const float* codebooks, std::size_t width,
                   std::size_t threads, float* vectors) const;

  // The candidates of the first round, for users with the given score tables.
  std::vector<Candidates> candidates(const UserFitProblem& problem, const float* tables,
                                     std::size_t threads) const;

  // The residual target - score of every candidate, less the user's weighted mean, times the weight, added up
  // at its codewords: minus half the gradient of the weighted squared error by the score table, once the
  // intercept has been profiled out. residuals: (num_users, num_codebooks, num_codewords).
  void residual_tables(const CandidateLists& lists, const float* tables, std::size_t threads,
                       float* residuals) const;

  std::size_t num_items() const { return codes_.num_items(); }
  std::size_t num_codebooks() const { return codes_.num_codebooks(); }
  std::size_t num_codewords() const { return num_codewords_; }
  std::size_t table_size() const { return num_codebooks() * num_codewords_; }

 private:
  std::size_t num_codewords_;
  PackedCodes codes_;
};

}  // namespace lightrec
