// The items that a user is fitted to: where the ranking is decided.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "instruction_sets.hpp"
#include "k_best.hpp"
#include "packed_codes.hpp"
#include "row_filter.hpp"

namespace lightrec {

// A block of users and what they are fitted to; everything is borrowed, all arrays are row-major.
struct UserFitProblem {
  const float* teacher_scores;    // (num_users, num_items), finite
  const Rows* seen;               // (num_users,) rows that a user is not fitted to
  const std::int32_t* catalogue;  // (rounds, catalogue_size) rows for all users, ascending in a round
  std::size_t num_users, rounds, catalogue_size;
  std::size_t candidates;       // the teacher's best; at least 1
  const float* rank_weights;    // (candidates + 1,) of the teacher's first, second, ... and of any other candidate
  std::size_t false_positives;  // the student's own best
  float catalogue_weight;       // of one catalogue row
  float ridge;                  // on the squared step of a round; above 0
};

// What one round fits one user to: distinct rows first, catalogue rows after them; none that the user has
// seen.
struct Candidates {
  std::vector<std::int32_t> rows;
  std::vector<float> targets, weights;

  std::size_t size() const { return rows.size(); }
};

// What the teacher gives a round's catalogue rows.
struct CatalogueTargets {
  std::vector<float> scores;         // of every row
  std::vector<std::uint32_t> seen;  // places of the rows that the user has seen, ascending
};

// Where the entries of some items stand in a score table, found once for many sums.
class TableEntries {
 public:
  TableEntries(const PackedCodes& codes, std::size_t num_codewords)
      : codes_(codes), books_(codes.num_codebooks()), words_(num_codewords) {}

  void find(const std::int32_t* rows, std::size_t count) {
    entries_.resize(count * books_);
    std::uint16_t* entry = entries_.data();
    for (std::size_t j = 0; j < count; ++j) {
      const std::uint8_t* code = codes_.item(static_cast<std::size_t>(rows[j]));
      for (std::size_t b = 0; b < books_; ++b) {
        *entry++ = static_cast<std::uint16_t>(b * words_ + code[b * kBlock]);
      }
    }
  }

  // Calls visit(item, entries, num_codebooks) for each item, the usual four books unrolled.
  template <typename Visit>
  void for_each(const Visit& visit) const {
    const std::size_t count = entries_.size() / books_;
    const std::uint16_t* entries = entries_.data();
    if (books_ == 4) {
      for (std::size_t j = 0; j < count; ++j) visit(j, entries + 4 * j, std::size_t{4});
    } else {
      for (std::size_t j = 0; j < count; ++j) visit(j, entries + books_ * j, books_);
    }
  }

 private:
  const PackedCodes& codes_;
  std::size_t books_, words_;
  std::vector<std::uint16_t> entries_;  // (items, books); at most 64 * 256 entries in a table
};

LIGHTREC_INLINE float sum_at(const float* table, const std::uint16_t* entries, std::size_t num_codebooks) {
  float sum = table[entries[0]];
  for (std::size_t b = 1; b < num_codebooks; ++b) sum += table[entries[b]];
  return sum;
}

LIGHTREC_INLINE void add_at(float* table, const std::uint16_t* entries, std::size_t num_codebooks,
                            float value) {
  for (std::size_t b = 0; b < num_codebooks; ++b) table[entries[b]] += value;
}

// The candidates of up to eight users, scanned together.
class CandidatePicker {
 public:
  // Users first_user, first_user + 1, ... of the problem.
  CandidatePicker(const UserFitProblem& problem, const PackedCodes& codes, std::size_t num_codewords,
                  std::size_t first_user, std::size_t num_users);

  // Candidates anew, for users whose score tables (num_users, B, W) are these.
  void pick(const float* tables);

  // One of the users' candidates without the catalogue's.
  void list_own(std::size_t user, Candidates& candidates) const;

  // What the round's catalogue rows are to one of the users.
  void list_catalogue(std::size_t user, std::size_t round, CatalogueTargets& targets) const;

  // One of the users' candidates, with the round's catalogue rows.
  void list(std::size_t user, std::size_t round, Candidates& candidates) const;

 private:
  const float* teacher_scores(std::size_t user) const;
  struct Best {
    std::vector<std::int32_t> rows;  // ascending
    std::vector<float> weights;      // of each
  };

  Best best_of_teacher(std::size_t user) const;
  float known_bar(std::size_t user, const float* table);
  void scan(const float* tables);
  std::size_t table_size() const { return codes_.num_codebooks() * words_; }

  const UserFitProblem& problem_;
  const PackedCodes& codes_;
  std::size_t words_, first_;
  std::vector<Best> teachers_best_;                // of each user
  std::vector<std::vector<std::int32_t>> picked_;  // likewise, ascending
  std::vector<KBest> students_best_;               // likewise, while they are looked for
  TableEntries entries_;
  std::vector<float> scores_;
};

}  // namespace lightrec
