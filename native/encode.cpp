#include "encode.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "errors.hpp"
#include "finite.hpp"
#include "float_order.hpp"
#include "instruction_sets.hpp"
#include "parallel.hpp"
#include "score_table.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kVectorsPerPiece = 32;
constexpr std::size_t kChunk = 32;  // candidates compared with a bound in one go

// Error of choosing each codeword of one book: before + (own[w] + 2 * sum over others of others[i][w]).
LIGHTREC_MULTIVERSIONED
void candidate_errors(const float* own, const float* const* others, std::size_t num_others, float before,
                      std::size_t num_codewords, float* errors) {
  if (num_others == 0) {
    for (std::size_t w = 0; w < num_codewords; ++w) errors[w] = before + own[w];
    return;
  }
  if (num_others == 3) {  // the usual four books, one pass
    const float *x = others[0], *y = others[1], *z = others[2];
    for (std::size_t w = 0; w < num_codewords; ++w) {
      errors[w] = before + (own[w] + 2.0F * ((x[w] + y[w]) + z[w]));
    }
    return;
  }
  float cross[kMaxCodewords];
  std::copy_n(others[0], num_codewords, cross);
  for (std::size_t i = 1; i < num_others; ++i) {
    const float* row = others[i];
    for (std::size_t w = 0; w < num_codewords; ++w) cross[w] += row[w];
  }
  for (std::size_t w = 0; w < num_codewords; ++w) errors[w] = before + (own[w] + 2.0F * cross[w]);
}

// Minima of groups of candidates, group g holding candidates g, g + num_groups, ...; count >= num_groups.
LIGHTREC_MULTIVERSIONED
void group_minima(const float* errors, std::size_t count, std::size_t num_groups, float* minima) {
  std::copy_n(errors, num_groups, minima);
  for (std::size_t first = num_groups; first < count; first += num_groups) {
    const std::size_t size = std::min(num_groups, count - first);
    for (std::size_t g = 0; g < size; ++g) {
      const float error = errors[first + g];
      minima[g] = error < minima[g] ? error : minima[g];
    }
  }
}

// Integers that order as (error, candidate) does.
LIGHTREC_INLINE std::uint64_t key_of(float error, std::size_t candidate) {
  constexpr std::uint32_t kSignBit = 0x80000000U;  // turned over, unsigned integers order as signed ones do
  return std::uint64_t{static_cast<std::uint32_t>(order_of(error)) ^ kSignBit} << 32 | candidate;
}

LIGHTREC_INLINE bool any_of_chunk(const float* errors, float bound) {
  int any = 0;
  for (std::size_t i = 0; i < kChunk; ++i) any |= static_cast<int>(errors[i] <= bound);
  return any != 0;
}

// Appends the keys of all candidates whose error is at most `bound`.
LIGHTREC_MULTIVERSIONED
void collect_up_to(const float* errors, std::size_t count, float bound, std::vector<std::uint64_t>& keys) {
  for (std::size_t first = 0; first < count; first += kChunk) {
    const std::size_t end = std::min(first + kChunk, count);
    if (end - first == kChunk && !any_of_chunk(errors + first, bound)) continue;
    for (std::size_t i = first; i < end; ++i) {
      if (errors[i] <= bound) keys.push_back(key_of(errors[i], i));
    }
  }
}

std::size_t first_smallest(const float* errors, std::size_t count) {
  float minima[kChunk];
  const std::size_t groups = std::min(kChunk, count);
  group_minima(errors, count, groups, minima);
  const float smallest = *std::min_element(minima, minima + groups);
  return static_cast<std::size_t>(std::find(errors, errors + count, smallest) - errors);
}

// Values up to this magnitude cannot make any sum of an encoding overflow.
float largest_summand(std::size_t num_codebooks) {
  return std::numeric_limits<float>::max() / static_cast<float>(4 * num_codebooks * num_codebooks);
}

[[noreturn]] void throw_too_large(std::size_t vector) {
  throw ArgumentError("inner holds values that are not finite or too large in row " + std::to_string(vector));
}

// One thread's working space; encodes one vector at a time.
class Encoder {
 public:
  // diagonal: (B*W,), the diagonal of gram.
  Encoder(const EncodeProblem& problem, const float* diagonal)
      : problem_(problem),
        diagonal_(diagonal),
        books_(problem.num_codebooks),
        words_(problem.num_codewords),
        own_(books_ * words_),
        errors_(std::max<std::size_t>(problem.beam, 1) * words_),
        others_(books_),
        entries_(problem.beam * books_),
        next_entries_(problem.beam * books_),
        entry_errors_(problem.beam),
        minima_((4 * problem.beam + kChunk - 1) / kChunk * kChunk),
        found_(books_),
        refined_(books_) {}

  void encode(std::size_t vector, std::uint8_t* codes, double* error) {
    const float* inner = problem_.inner + vector * books_ * words_;
    const std::size_t total = books_ * words_;
    for (std::size_t i = 0; i < total; ++i) own_[i] = diagonal_[i] - 2.0F * inner[i];
    if (!all_within(own_.data(), total, largest_summand(books_))) throw_too_large(vector);

    double best = std::numeric_limits<double>::infinity();
    const bool started = problem_.start != nullptr;
    if (started) {
      const std::uint8_t* start = problem_.start + vector * books_;
      std::copy_n(start, books_, codes);
      std::copy_n(start, books_, refined_.data());
      best = error_of(codes);
      refine(refined_.data());
      keep_if_better(refined_.data(), codes, best);
    }
    if (problem_.beam > 0) {
      search(found_.data());
      refine(found_.data());
      if (started) {
        keep_if_better(found_.data(), codes, best);
      } else {
        std::copy_n(found_.data(), books_, codes);
        best = error_of(codes);
      }
    }
    *error = best;
  }

 private:
  // Inner products of codeword `word` of `book` with all codewords of `other`.
  const float* gram_row(std::size_t book, std::size_t word, std::size_t other) const {
    return problem_.gram + (book * words_ + word) * books_ * words_ + other * words_;
  }

  void keep_if_better(const std::uint8_t* candidate, std::uint8_t* codes, double& best) const {
    const double error = error_of(candidate);
    if (error < best) {
      best = error;
      std::copy_n(candidate, books_, codes);
    }
  }

  double error_of(const std::uint8_t* codes) const {
    double error = 0.0;
    for (std::size_t b = 0; b < books_; ++b) {
      error += static_cast<double>(own_[b * words_ + codes[b]]);
      for (std::size_t other = 0; other < b; ++other) {
        error += 2.0 * static_cast<double>(gram_row(other, codes[other], b)[codes[b]]);
      }
    }
    return error;
  }

  // Beam search over the books in order; leaves the best full encoding in `codes`.
  void search(std::uint8_t* codes) {
    std::size_t size = 1;
    entry_errors_[0] = 0.0F;
    for (std::size_t b = 0; b < books_; ++b) {
      for (std::size_t entry = 0; entry < size; ++entry) {
        const std::uint8_t* chosen = entries_.data() + entry * books_;
        for (std::size_t other = 0; other < b; ++other) others_[other] = gram_row(other, chosen[other], b);
        candidate_errors(own_.data() + b * words_, others_.data(), b, entry_errors_[entry], words_,
                         errors_.data() + entry * words_);
      }
      choose_candidates(size * words_);
      size = chosen_.size();
      for (std::size_t entry = 0; entry < size; ++entry) {
        const std::size_t candidate = chosen_[entry] & 0xffffffffU;
        std::uint8_t* target = next_entries_.data() + entry * books_;
        std::copy_n(entries_.data() + candidate / words_ * books_, b, target);
        target[b] = static_cast<std::uint8_t>(candidate % words_);
        entry_errors_[entry] = errors_[candidate];
      }
      entries_.swap(next_entries_);
    }
    std::copy_n(entries_.data(), books_, codes);
  }

  // Leaves the keys of the `beam` best of the candidates in errors_ in chosen_, best first.
  void choose_candidates(std::size_t count) {
    // The beam-th smallest of the minima of a few groups bounds the beam-th best candidate from above,
    // and hardly more than `beam` candidates reach it.
    const std::size_t beam = problem_.beam;
    float bound = std::numeric_limits<float>::infinity();
    if (count > beam) {
      const std::size_t groups = std::min(count, minima_.size());
      group_minima(errors_.data(), count, groups, minima_.data());
      const auto last = minima_.begin() + static_cast<std::ptrdiff_t>(beam) - 1;
      std::nth_element(minima_.begin(), last, minima_.begin() + static_cast<std::ptrdiff_t>(groups));
      bound = *last;
    }
    chosen_.clear();
    collect_up_to(errors_.data(), count, bound, chosen_);
    std::sort(chosen_.begin(), chosen_.end());
    if (chosen_.size() > beam) chosen_.resize(beam);
  }

  // Iterated conditional modes: re-chooses one code at a time, all others fixed.
  void refine(std::uint8_t* codes) {
    for (std::size_t sweep = 0; sweep < problem_.sweeps; ++sweep) {
      bool changed = false;
      for (std::size_t b = 0; b < books_; ++b) {
        std::size_t num_others = 0;
        for (std::size_t other = 0; other < books_; ++other) {
          if (other != b) others_[num_others++] = gram_row(other, codes[other], b);
        }
        candidate_errors(own_.data() + b * words_, others_.data(), num_others, 0.0F, words_, errors_.data());
        const auto word = static_cast<std::uint8_t>(first_smallest(errors_.data(), words_));
        changed |= word != codes[b];
        codes[b] = word;
      }
      if (!changed) return;  // a fixed point: further sweeps would change nothing
    }
  }

  const EncodeProblem& problem_;
  const float* diagonal_;
  std::size_t books_, words_;
  std::vector<float> own_;     // (B, W): |codeword|^2 - 2 <vector, codeword>
  std::vector<float> errors_;  // (beam, W): candidate entry * W + word extends an entry by a codeword
  std::vector<const float*> others_;
  std::vector<std::uint8_t> entries_, next_entries_;  // (beam, B)
  std::vector<float> entry_errors_;                   // (beam,)
  std::vector<float> minima_;          // of 4 * beam groups of candidates, rounded up to whole chunks
  std::vector<std::uint64_t> chosen_;  // keys of candidates, best first
  std::vector<std::uint8_t> found_, refined_;
};

}  // namespace

void encode(const EncodeProblem& problem, std::size_t threads, std::uint8_t* codes, double* errors) {
  const std::size_t total = problem.num_codebooks * problem.num_codewords;
  if (!all_within(problem.gram, total * total, largest_summand(problem.num_codebooks))) {
    throw ArgumentError("gram holds values that are not finite or too large");
  }
  std::vector<float> diagonal(total);
  for (std::size_t i = 0; i < total; ++i) diagonal[i] = problem.gram[i * total + i];

  const std::size_t pieces = (problem.num_vectors + kVectorsPerPiece - 1) / kVectorsPerPiece;
  parallel_for(pieces, threads, [&](std::size_t piece) {
    Encoder encoder(problem, diagonal.data());
    const std::size_t end = std::min((piece + 1) * kVectorsPerPiece, problem.num_vectors);
    for (std::size_t i = piece * kVectorsPerPiece; i < end; ++i) {
      encoder.encode(i, codes + i * problem.num_codebooks, errors + i);
    }
  });
}

}  // namespace lightrec
