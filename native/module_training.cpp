// What training is given by the extension module.
#include <vector>

#include "bindings.hpp"
#include "row_adam.hpp"

using namespace nanobind::literals;

namespace lightrec {
namespace {

using Table = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void move_rows(const Table& parameters, const Table& rows_seen, const Table& first, const Table& second,
               const Input<std::int64_t, 1>& rows, const Input<float, 2>& gradients, double learning_rate,
               double fast, double slow, double epsilon, std::size_t threads) {
  const std::size_t num_rows = parameters.shape(0), width = parameters.shape(1);
  const auto has_shape = [&](const Table& table, std::size_t columns) {
    return table.shape(0) == num_rows && table.shape(1) == columns;
  };
  require(has_shape(first, width) && has_shape(second, width) && has_shape(rows_seen, 1),
          "the moments must have the shape of the parameters, rows_seen one column");
  require(gradients.shape(0) == rows.size() && gradients.shape(1) == width,
          "gradients must have one row for each of rows");
  const nb::gil_scoped_release released;
  std::vector<bool> met(num_rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t row = rows.data()[i];
    require(row >= 0 && static_cast<std::size_t>(row) < num_rows, "rows must be rows of the parameters");
    require(!met[static_cast<std::size_t>(row)], "rows must not be repeated");
    met[static_cast<std::size_t>(row)] = true;
  }
  row_adam({parameters.data(), rows_seen.data(), first.data(), second.data(), width}, rows.data(),
           gradients.data(), rows.size(), {learning_rate, fast, slow, epsilon}, threads);
}

}  // namespace

void bind_training(nb::module_& module) {
  module.def("row_adam", &move_rows, nb::arg("parameters").noconvert(), nb::arg("rows_seen").noconvert(),
             nb::arg("first").noconvert(), nb::arg("second").noconvert(), nb::arg("rows").noconvert(),
             nb::arg("gradients").noconvert(), "learning_rate"_a, "fast"_a, "slow"_a, "epsilon"_a, "threads"_a);
}

}  // namespace lightrec
