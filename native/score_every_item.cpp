#include "score_every_item.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "instruction_sets.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kStep = 16;          // scores of a block that are looked at one by one after a hit
constexpr std::size_t kUnrolledBooks = 4;  // up to so many codes of an item are held in registers

template <std::size_t kCount>
LIGHTREC_INLINE bool any_above(const float* scores, float bar) {
  int any = 0;
  for (std::size_t j = 0; j < kCount; ++j) any |= static_cast<int>(scores[j] > bar);
  return any != 0;
}

// Scores of eight items of a block. Look-ups are scalar (so nothing here is multiversioned), but one load
// brings eight codes.
LIGHTREC_INLINE void score_eight_items(const std::uint8_t* codes, const float* table,
                                       std::size_t num_codebooks, float* scores) {
  std::uint64_t eight_codes[kUnrolledBooks] = {};
  for (std::size_t b = 0; b < num_codebooks; ++b) {
    std::memcpy(eight_codes + b, codes + b * kBlock, sizeof eight_codes[b]);
  }
  for (std::size_t j = 0; j < 8; ++j) {
    float score = table[eight_codes[0] >> (8 * j) & 255U];
    for (std::size_t b = 1; b < num_codebooks; ++b) {
      score += table[b * kMaxCodewords + (eight_codes[b] >> (8 * j) & 255U)];
    }
    scores[j] = score;
  }
}

LIGHTREC_INLINE void score_block(const std::uint8_t* block, const float* table, std::size_t num_codebooks,
                                 float* scores) {
  if (num_codebooks <= kUnrolledBooks) {
    for (std::size_t first = 0; first < kBlock; first += 8) {
      score_eight_items(block + first, table, num_codebooks, scores + first);
    }
    return;
  }
  for (std::size_t j = 0; j < kBlock; ++j) scores[j] = table[block[j]];
  for (std::size_t b = 1; b < num_codebooks; ++b) {
    const std::uint8_t* codes = block + b * kBlock;
    for (std::size_t j = 0; j < kBlock; ++j) scores[j] += table[b * kMaxCodewords + codes[j]];
  }
}

LIGHTREC_INLINE void scan(const PackedCodes& codes, std::size_t num_codebooks, const float* table,
                          Rows excluded, KBest& best) {
  RowCursor cursor(excluded);
  float scores[kBlock];
  for (std::size_t index = 0; index < codes.num_blocks(); ++index) {
    score_block(codes.block(index), table, num_codebooks, scores);
    if (!any_above<kBlock>(scores, best.bar())) continue;  // one comparison for most blocks
    const std::size_t first = index * kBlock;
    const std::size_t count = std::min(kBlock, codes.num_items() - first);
    for (std::size_t step = 0; step < count; step += kStep) {
      if (!any_above<kStep>(scores + step, best.bar())) continue;
      for (std::size_t j = step; j < std::min(step + kStep, count); ++j) {
        if (scores[j] > best.bar() && !cursor.contains(first + j)) best.push(scores[j], first + j);
      }
    }
  }
}

// Whether any of count * 8 scores exceeds its lane's bar. Written for plain loops over whole vectors of four,
// which every instruction set has; a comparison of eight would be taken apart where there is no AVX.
LIGHTREC_INLINE bool any_above_bars(const Lanes* scores, std::size_t count, const Lanes& bars) {
  using Four = float __attribute__((vector_size(16)));
  using FourMask = std::int32_t __attribute__((vector_size(16)));
  Four bar[2];
  std::memcpy(bar, &bars, sizeof bar);
  FourMask hits = {};
  for (std::size_t j = 0; j < count; ++j) {
    Four score[2];
    std::memcpy(score, scores + j, sizeof score);
    hits |= score[0] > bar[0];
    hits |= score[1] > bar[1];
  }
  std::array<std::uint64_t, 2> words;
  std::memcpy(words.data(), &hits, sizeof words);
  return (words[0] | words[1]) != 0;
}

LIGHTREC_INLINE void scan_eight(const PackedCodes& codes, std::size_t num_codebooks, const Lanes* entries,
                                std::size_t count, const Rows* excluded, KBest* best) {
  std::vector<RowCursor> cursors(excluded, excluded + count);
  Lanes bars;
  for (std::size_t q = 0; q < kQueries; ++q) {
    bars.value[q] = q < count ? best[q].bar() : std::numeric_limits<float>::infinity();
  }
  constexpr std::size_t kGroup = 8;  // items whose hits are looked for together
  for (std::size_t first = 0; first < codes.num_items(); first += kGroup) {
    const std::uint8_t* group = codes.item(first);
    Lanes scores[kGroup];
    for (std::size_t j = 0; j < kGroup; ++j) {
      score_item(entries, group + j, kBlock, num_codebooks, scores[j]);
    }
    if (!any_above_bars(scores, kGroup, bars)) continue;
    const std::size_t size = std::min(kGroup, codes.num_items() - first);
    for (std::size_t j = 0; j < size; ++j) {
      if (!any_above_bars(scores + j, 1, bars)) continue;
      for (std::size_t q = 0; q < count; ++q) {
        const float score = scores[j].value[q];
        if (score > bars.value[q] && !cursors[q].contains(first + j)) {
          best[q].push(score, first + j);
          bars.value[q] = best[q].bar();
        }
      }
    }
  }
}

LIGHTREC_MULTIVERSIONED
void scan_eight_four_books(const PackedCodes& codes, const Lanes* entries, std::size_t count,
                           const Rows* excluded, KBest* best) {
  scan_eight(codes, 4, entries, count, excluded, best);
}

LIGHTREC_MULTIVERSIONED
void scan_eight_any_books(const PackedCodes& codes, const Lanes* entries, std::size_t count,
                          const Rows* excluded, KBest* best) {
  scan_eight(codes, codes.num_codebooks(), entries, count, excluded, best);
}

}  // namespace

void score_every_item(const PackedCodes& codes, const float* table, Rows excluded, KBest& best) {
  if (codes.num_codebooks() == 4) {  // the usual four bytes, unrolled
    scan(codes, 4, table, excluded, best);
  } else {
    scan(codes, codes.num_codebooks(), table, excluded, best);
  }
}

void score_every_item_for_eight(const PackedCodes& codes, const EightTables& tables, std::size_t count,
                                const Rows* excluded, KBest* best) {
  if (codes.num_codebooks() == 4) {
    scan_eight_four_books(codes, tables.entries(), count, excluded, best);
  } else {
    scan_eight_any_books(codes, tables.entries(), count, excluded, best);
  }
}

void score_listed_items(const PackedCodes& codes, const float* table, Rows listed, Rows excluded, KBest& best) {
  RowCursor cursor(excluded);
  for (const std::int32_t* next = listed.begin; next != listed.end; ++next) {
    const auto row = static_cast<std::size_t>(*next);
    const std::uint8_t* code = codes.item(row);
    float score = table[code[0]];
    for (std::size_t b = 1; b < codes.num_codebooks(); ++b) {
      score += table[b * kMaxCodewords + code[b * kBlock]];
    }
    if (score > best.bar() && !cursor.contains(row)) best.push(score, row);
  }
}

}  // namespace lightrec
