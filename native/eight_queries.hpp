// Eight queries scored at once: their score tables interleaved, so that one load brings the entries of one
// codeword for all eight, and one addition serves eight scores. A scalar look-up needs B loads per score;
// this needs B / 8.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "instruction_sets.hpp"
#include "score_table.hpp"

namespace lightrec {

inline constexpr std::size_t kQueries = 8;

// One float for each of eight queries. Arithmetic is lane by lane: the same roundings as for one query.
struct Lanes {
  float __attribute__((vector_size(kQueries * sizeof(float)))) value;
};

class EightTables {
 public:
  explicit EightTables(std::size_t num_codebooks)
      : num_codebooks_(num_codebooks), entries_(new Lanes[num_codebooks * kMaxCodewords]()) {}

  // tables: (count, num_codebooks, num_codewords), count <= 8. Lanes beyond count repeat the last table.
  void load(const float* tables, std::size_t count, std::size_t num_codewords) {
    for (std::size_t lane = 0; lane < kQueries; ++lane) {
      const float* table = tables + std::min(lane, count - 1) * num_codebooks_ * num_codewords;
      for (std::size_t book = 0; book < num_codebooks_; ++book) {
        Lanes* row = entries_.get() + book * kMaxCodewords;
        const float* source = table + book * num_codewords;
        for (std::size_t word = 0; word < num_codewords; ++word) row[word].value[lane] = source[word];
      }
    }
  }

  const Lanes* entries() const { return entries_.get(); }
  std::size_t num_codebooks() const { return num_codebooks_; }

 private:
  std::size_t num_codebooks_;
  std::unique_ptr<Lanes[]> entries_;  // (num_codebooks, 256)
};

// Scores of one item for eight queries. The item's codes stand book_stride bytes apart.
LIGHTREC_INLINE void score_item(const Lanes* entries, const std::uint8_t* code, std::size_t book_stride,
                                std::size_t num_codebooks, Lanes& score) {
  score.value = entries[code[0]].value;
  for (std::size_t book = 1; book < num_codebooks; ++book) {
    score.value += entries[book * kMaxCodewords + code[book * book_stride]].value;
  }
}

}  // namespace lightrec
