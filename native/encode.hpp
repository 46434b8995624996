// Additive-quantisation encoding: the codes whose sum of codewords comes closest to a vector.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lightrec {

inline constexpr std::size_t kLargestBeam = 65536;  // candidates of a book are numbered in 32 bits

struct EncodeProblem {
  const float* inner;         // (num_vectors, num_codebooks, num_codewords): <vector, codeword>
  const float* gram;          // (B*W, B*W), symmetric: <codeword, codeword>
  const std::uint8_t* start;  // (num_vectors, num_codebooks) codes to refine as well, or null
  std::size_t num_vectors, num_codebooks, num_codewords;
  std::size_t beam;    // partial encodings kept after each book, at most kLargestBeam; 0: only refine `start`
  std::size_t sweeps;  // passes over the books, each re-choosing one code given all others
};

// Writes codes (num_vectors, num_codebooks) and their errors (num_vectors,):
// |sum of codewords|^2 - 2 <vector, sum of codewords>, the constant |vector|^2 left out.
//
// Candidates are compared in float, sums taken in book order; errors are float values summed in double.
// Ties go to the lower beam entry, then the lower codeword; `start` wins ties with the beam, and its
// refinement is dropped where rounding made it worse than `start` itself.
void encode(const EncodeProblem& problem, std::size_t threads, std::uint8_t* codes, double* errors);

}  // namespace lightrec
