// The scans as Python sees them.
#include <nanobind/stl/string.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "bound_scan.hpp"
#include "instruction_sets.hpp"
#include "portable_scan.hpp"
#include "search_bindings.hpp"

namespace lightrec {
namespace {

using namespace nb::literals;

std::string name_of(InstructionSet set) {
  switch (set) {
    case InstructionSet::kAvx512Vbmi:
      return "avx512vbmi";
    case InstructionSet::kAvx2:
      return "avx2";
    default:
      return "portable";
  }
}

InstructionSet instruction_set(const std::string& name) {
  for (const InstructionSet set : {InstructionSet::kAvx2, InstructionSet::kAvx512Vbmi}) {
    if (name != name_of(set)) continue;
    require(set <= best_instruction_set(), "this processor does not have these instructions");
    return set;
  }
  throw ArgumentError("instruction_set must be 'avx2' or 'avx512vbmi', not '" + name + "'");
}

Layout layout_of(const std::string& name) {
  if (name == "flat") return Layout::kFlat;
  if (name == "tiles") return Layout::kTiles;
  if (name == "cells") return Layout::kCells;
  throw ArgumentError("layout must be 'flat', 'tiles' or 'cells', not '" + name + "'");
}

Labels checked_labels(const Input<std::uint8_t, 2>& given) {
  require(given.shape(0) == kFourBooks && given.shape(1) == kMaxCodewords, "labels must be (4, 256)");
  Labels labels;
  for (std::size_t book = 0; book < kFourBooks; ++book) {
    std::array<bool, kMaxCodewords> taken{};
    for (std::size_t word = 0; word < kMaxCodewords; ++word) {
      const std::uint8_t label = given.data()[book * kMaxCodewords + word];
      require(!taken[label], "labels must be a permutation of 0 .. 255 in every codebook");
      taken[label] = true;
      labels[book][word] = label;
    }
  }
  return labels;
}

void require_catalogue(const Input<std::uint8_t, 2>& codes, std::size_t num_codewords) {
  require_table_shape(codes.shape(1), num_codewords);
  require(codes.shape(0) < std::size_t{1} << 31, "a scan holds fewer than 2^31 items");
  require_codes_below(codes, num_codewords, "codes");
}

void init_portable_scan(PortableScan* self, const Input<std::uint8_t, 2>& codes, std::size_t num_codewords) {
  require_catalogue(codes, num_codewords);
  new (self) PortableScan(codes.data(), codes.shape(0), codes.shape(1), num_codewords);
}

void init_bound_scan(BoundScan* self, const Input<std::uint8_t, 2>& codes, std::size_t num_codewords,
                     const Input<std::uint8_t, 2>& labels, const std::string& set, const std::string& layout) {
  require_catalogue(codes, num_codewords);
  require(codes.shape(1) == kFourBooks || (codes.shape(1) == 2 * kFourBooks && num_codewords <= 16),
          "a scan by bounds needs four codebooks, or eight of at most 16 codewords");
  new (self) BoundScan(codes.data(), codes.shape(0), codes.shape(1), num_codewords, checked_labels(labels), instruction_set(set),
                       layout_of(layout));
}

void require_table_of(const Scan& scan, const Input<float, 2>& table) {
  require(table.shape(0) == scan.num_codebooks() && table.shape(1) == scan.num_codewords(),
          "the score table does not have the shape of the codes");
  require_finite_scores(table.data(), table.size(), scan.num_codebooks());
}

nb::tuple scan_top_k(const Scan& scan, const Input<float, 2>& table, std::size_t k, const OptionalRows& exclude,
                     const OptionalRows& allow, const OptionalMask& mask, std::size_t mask_count) {
  require(k >= 1, "k must be at least 1");
  require_table_of(scan, table);
  const RowFilter filter = checked_filter(scan.num_items(), exclude, allow, mask, mask_count);
  Ranking best;
  {
    const nb::gil_scoped_release released;
    best = scan.top_k(table.data(), k, filter, Order::kBestFirst);
  }
  return arrays_of(best);
}

nb::tuple scan_probe(const BoundScan& scan, const Input<float, 2>& table, std::size_t k, std::size_t nprobe,
                     const OptionalRows& exclude, const OptionalRows& allow, const OptionalMask& mask,
                     std::size_t mask_count) {
  require(k >= 1, "k must be at least 1");
  require(nprobe >= 1, "nprobe must be at least 1");
  require(scan.layout() == Layout::kCells && scan.num_codebooks() == kFourBooks,
          "only a scan of four codebooks in cells can be probed");
  require_table_of(scan, table);
  const RowFilter filter = checked_filter(scan.num_items(), exclude, allow, mask, mask_count);
  Ranking best;
  {
    const nb::gil_scoped_release released;
    best = scan.probe(table.data(), k, nprobe, filter);
  }
  return arrays_of(best);
}

std::size_t num_scored(const Scan& scan, const Input<float, 2>& table, std::size_t k) {
  require(k >= 1, "k must be at least 1");
  require_table_of(scan, table);
  const nb::gil_scoped_release released;
  return scan.top_k(table.data(), k, RowFilter{}, Order::kAny).scored;
}

nb::tuple scan_top_k_batch(const Scan& scan, const Input<float, 3>& tables, std::size_t k,
                           const std::optional<Input<std::int64_t, 1>>& exclude_indptr,
                           const OptionalRows& exclude_rows, const OptionalRows& allow, std::size_t threads,
                           const OptionalMask& mask, std::size_t mask_count) {
  require(k >= 1, "k must be at least 1");
  require(tables.shape(1) == scan.num_codebooks() && tables.shape(2) == scan.num_codewords(),
          "the score tables do not have the shape of the codes");
  require_finite_scores(tables.data(), tables.size(), scan.num_codebooks());
  const std::size_t num_queries = tables.shape(0);
  const auto filters = checked_filters(num_queries, scan.num_items(), exclude_indptr, exclude_rows,
                                       checked_filter(scan.num_items(), std::nullopt, allow, mask, mask_count));
  const std::size_t width = std::min(k, scan.num_items());
  auto rows = new_array<std::int64_t, 2>({num_queries, width});
  auto scores = new_array<float, 2>({num_queries, width});
  auto counts = new_array<std::int64_t, 1>({num_queries});
  {
    const nb::gil_scoped_release released;
    scan.top_k_batch(tables.data(), num_queries, k, filters, threads,
                     BatchResult{rows.data(), scores.data(), counts.data(), width});
  }
  return nb::make_tuple(rows, scores, counts);
}

}  // namespace

void bind_scans(nb::module_& module) {
  nb::class_<Scan>(module, "Scan")
      .def("top_k", &scan_top_k, nb::arg("table").noconvert(), "k"_a,
           nb::arg("exclude").noconvert() = nb::none(), nb::arg("allow").noconvert() = nb::none(),
           nb::arg("mask").noconvert() = nb::none(), "mask_count"_a = 0)
      .def("top_k_batch", &scan_top_k_batch, nb::arg("tables").noconvert(), "k"_a,
           nb::arg("exclude_indptr").noconvert() = nb::none(),
           nb::arg("exclude_rows").noconvert() = nb::none(), nb::arg("allow").noconvert() = nb::none(),
           "threads"_a = 1, nb::arg("mask").noconvert() = nb::none(), "mask_count"_a = 0)
      .def("num_scored", &num_scored, nb::arg("table").noconvert(), "k"_a)
      .def("memory", &Scan::memory);
  nb::class_<PortableScan, Scan>(module, "PortableScan")
      .def("__init__", &init_portable_scan, nb::arg("codes").noconvert(), "num_codewords"_a);
  nb::class_<BoundScan, Scan>(module, "BoundScan")
      .def("__init__", &init_bound_scan, nb::arg("codes").noconvert(), "num_codewords"_a,
           nb::arg("labels").noconvert(), "instruction_set"_a, "layout"_a, nb::keep_alive<1, 2>())  // borrows codes
      .def("probe", &scan_probe, nb::arg("table").noconvert(), "k"_a, "nprobe"_a,
           nb::arg("exclude").noconvert() = nb::none(), nb::arg("allow").noconvert() = nb::none(),
           nb::arg("mask").noconvert() = nb::none(), "mask_count"_a = 0);
  module.def("instruction_set", [] { return name_of(best_instruction_set()); });
}

}  // namespace lightrec
