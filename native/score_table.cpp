#include "score_table.hpp"

#include <algorithm>

#include "instruction_sets.hpp"

#if LIGHTREC_X86
#include <immintrin.h>
#endif

namespace lightrec {
namespace {

constexpr std::size_t kPanel = 64;

LIGHTREC_MULTIVERSIONED
void fill_panel(const float* panel, const float* query, std::size_t width, float* sums) {
  float total[kPanel];
  for (std::size_t j = 0; j < kPanel; ++j) total[j] = query[0] * panel[j];
  for (std::size_t d = 1; d < width; ++d) {
    const float q = query[d];
    const float* column = panel + d * kPanel;
    for (std::size_t j = 0; j < kPanel; ++j) total[j] += q * column[j];
  }
  for (std::size_t j = 0; j < kPanel; ++j) sums[j] = total[j];
}

using FillPanel = void (*)(const float*, const float*, std::size_t, float*);

#if LIGHTREC_X86
// The same sums, sixteen to a register; products and sums rounded one by one as above.
LIGHTREC_AVX512
void fill_panel_avx512(const float* panel, const float* query, std::size_t width, float* sums) {
  __m512 total[4];
  const __m512 first = _mm512_set1_ps(query[0]);
  for (std::size_t j = 0; j < 4; ++j) total[j] = _mm512_mul_ps(first, _mm512_loadu_ps(panel + 16 * j));
  for (std::size_t d = 1; d < width; ++d) {
    const __m512 q = _mm512_set1_ps(query[d]);
    const float* column = panel + d * kPanel;
    for (std::size_t j = 0; j < 4; ++j) {
      total[j] = _mm512_add_ps(total[j], _mm512_mul_ps(q, _mm512_loadu_ps(column + 16 * j)));
    }
  }
  for (std::size_t j = 0; j < 4; ++j) _mm512_storeu_ps(sums + 16 * j, total[j]);
}
#endif

FillPanel best_fill_panel() {
#if LIGHTREC_X86
  if (best_instruction_set() == InstructionSet::kAvx512Vbmi) return fill_panel_avx512;
#endif
  return fill_panel;
}

}  // namespace

ScoreTableBuilder::ScoreTableBuilder(const float* codebooks, std::size_t num_codebooks,
                                     std::size_t num_codewords, std::size_t width)
    : num_codebooks_(num_codebooks), num_codewords_(num_codewords), width_(width) {
  const std::size_t total = num_codebooks * num_codewords;
  const std::size_t num_panels = (total + kPanel - 1) / kPanel;
  panels_.assign(num_panels * width * kPanel, 0.0F);
  for (std::size_t word = 0; word < total; ++word) {
    float* panel = panels_.data() + word / kPanel * width * kPanel + word % kPanel;
    for (std::size_t d = 0; d < width; ++d) panel[d * kPanel] = codebooks[word * width + d];
  }
}

void ScoreTableBuilder::build(const float* queries, std::size_t num_queries, float* tables) const {
  static const FillPanel fill = best_fill_panel();
  const std::size_t total = num_codebooks_ * num_codewords_;
  // Panels outside, queries inside: a panel stays in the first-level cache for the whole batch.
  for (std::size_t first = 0; first < total; first += kPanel) {
    const float* panel = panels_.data() + first / kPanel * width_ * kPanel;
    const std::size_t count = std::min(kPanel, total - first);
    for (std::size_t q = 0; q < num_queries; ++q) {
      const float* query = queries + q * width_;
      float* row = tables + q * total + first;
      if (count == kPanel) {
        fill(panel, query, width_, row);
      } else {
        float sums[kPanel];
        fill(panel, query, width_, sums);
        std::copy_n(sums, count, row);
      }
    }
  }
}

}  // namespace lightrec
