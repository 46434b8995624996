// What the bindings of searches share: filters in, rankings out.
#pragma once

#include <optional>

#include "bindings.hpp"
#include "ranking.hpp"
#include "row_filter.hpp"
#include "scan.hpp"

namespace lightrec {

using OptionalMask = std::optional<Input<std::uint64_t, 1>>;

// To be called once, before the first result is made.
void load_numpy();

// Rows and scores as a pair of arrays.
nb::tuple arrays_of(const Ranking& best);

// What all queries of a call share.
RowFilter checked_filter(std::size_t num_items, const OptionalRows& exclude, const OptionalRows& allow,
                         const OptionalMask& mask, std::size_t mask_count);

// Adds the scans to the module.
void bind_scans(nb::module_& module);

}  // namespace lightrec
