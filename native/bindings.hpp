// What the files of the extension module share: arrays in, arrays out, and checks of what Python passes.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "errors.hpp"
#include "finite.hpp"
#include "row_filter.hpp"
#include "score_table.hpp"

namespace lightrec {

namespace nb = nanobind;

template <typename T, std::size_t Dims>
using Input = nb::ndarray<const T, nb::ndim<Dims>, nb::c_contig, nb::device::cpu>;
template <typename T, std::size_t Dims>
using Result = nb::ndarray<nb::numpy, T, nb::ndim<Dims>, nb::c_contig>;

// For fixed messages; what has to be put together is thrown where it is needed, as calls are frequent.
inline void require(bool holds, const char* message) {
  if (!holds) throw ArgumentError(message);
}

// A new numpy array, its values not set yet.
template <typename T, std::size_t Dims>
Result<T, Dims> new_array(const std::array<std::size_t, Dims>& shape) {
  std::size_t size = 1;
  for (const std::size_t extent : shape) size *= extent;
  std::unique_ptr<T[]> values(new T[size]);
  const nb::capsule owner(values.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return Result<T, Dims>(values.release(), Dims, shape.data(), owner);
}

inline void require_codes_below(const Input<std::uint8_t, 2>& codes, std::size_t num_codewords, const char* what) {
  if (num_codewords == kMaxCodewords) return;  // every byte is a codeword
  const std::uint8_t* code = codes.data();
  unsigned largest = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) largest = largest < code[i] ? code[i] : largest;
  if (codes.size() > 0 && largest >= num_codewords) {
    throw ArgumentError(std::string(what) + " hold the index " + std::to_string(largest) +
                        ", but there are " + std::to_string(num_codewords) + " codewords");
  }
}

inline void require_table_shape(std::size_t num_codebooks, std::size_t num_codewords) {
  require(num_codebooks >= 1, "there must be at least one codebook");
  require(num_codewords >= 1 && num_codewords <= kMaxCodewords, "a codebook has 1 to 256 codewords");
}

// The magnitude up to which numbers cannot add up to an infinite score. A B-th of the largest float, less what B
// roundings may add where they would: of ten numbers, but not of four.
inline float largest_entry(std::size_t num_codebooks) {
  const float limit = std::numeric_limits<float>::max() / static_cast<float>(num_codebooks);
  float sum = 0.0F;
  for (std::size_t book = 0; book < num_codebooks; ++book) sum += limit;
  return std::isfinite(sum) ? limit : limit * (1.0F - static_cast<float>(num_codebooks) * 0x1p-23F);
}

inline void require_finite_scores(const float* tables, std::size_t size, std::size_t num_codebooks) {
  require(all_within(tables, size, largest_entry(num_codebooks)),
          "score tables hold values that are not finite or too large to add up");
}

inline Rows checked_rows(const std::int32_t* begin, const std::int32_t* end, std::size_t num_items,
                  const char* what) {
  const Rows rows{begin, end};
  if (rows.size() == 0) return rows;
  const bool ascending = std::adjacent_find(begin, end, std::greater_equal<>()) == end;
  if (!ascending || *begin < 0) {
    throw ArgumentError(std::string(what) + " rows must be ascending, without repetition, from 0 on");
  }
  if (static_cast<std::size_t>(end[-1]) >= num_items) {
    throw ArgumentError(std::string(what) + " rows hold " + std::to_string(end[-1]) + ", but there are " +
                        std::to_string(num_items) + " items");
  }
  return rows;
}

using OptionalRows = std::optional<Input<std::int32_t, 1>>;

inline std::optional<Rows> checked_allowed(const OptionalRows& allow, std::size_t num_items) {
  if (!allow) return std::nullopt;
  return checked_rows(allow->data(), allow->data() + allow->size(), num_items, "allow");
}

// The rows that each query excludes: query q excludes rows[indptr[q]:indptr[q + 1]].
inline std::vector<RowFilter> checked_filters(std::size_t num_queries, std::size_t num_items,
                                       const std::optional<Input<std::int64_t, 1>>& indptr,
                                       const OptionalRows& rows, const RowFilter& shared) {
  std::vector<RowFilter> filters(num_queries, shared);
  require(indptr.has_value() == rows.has_value(), "exclude_indptr and exclude_rows go together");
  if (!indptr) return filters;
  const std::int64_t* starts = indptr->data();
  const auto num_rows = static_cast<std::int64_t>(rows->size());
  require(indptr->size() == num_queries + 1 && starts[0] == 0 && starts[num_queries] == num_rows,
          "exclude_indptr must lead from 0 to the number of rows, with one step for each query");
  for (std::size_t q = 0; q < num_queries; ++q) {
    require(starts[q] <= starts[q + 1] && starts[q + 1] <= num_rows, "exclude_indptr must not fall");
    filters[q].excluded =
        checked_rows(rows->data() + starts[q], rows->data() + starts[q + 1], num_items, "exclude");
  }
  return filters;
}

// Adds score tables and scans to the module.
void bind_search(nb::module_& module);

// Adds what training is given.
void bind_training(nb::module_& module);

}  // namespace lightrec
