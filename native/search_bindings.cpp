#include "search_bindings.hpp"

#include <algorithm>
#include <type_traits>

namespace lightrec {
namespace {

// What results are made with; set when the module is loaded, for as long as the process lives.
struct Numpy {
  PyObject *empty, *int64, *float32;
} numpy;

// The numbers as a numpy array. Memory of numpy's own takes half the time of memory that it is handed (new_array): there
// are two for each query.
template <typename T>
nb::object array_of(const std::vector<T>& numbers) {
  const nb::object size = nb::int_(numbers.size());
  PyObject* const arguments[] = {size.ptr(), std::is_same_v<T, float> ? numpy.float32 : numpy.int64};
  const nb::object array = nb::steal(PyObject_Vectorcall(numpy.empty, arguments, 2, nullptr));
  Py_buffer memory;
  if (!array.is_valid() || PyObject_GetBuffer(array.ptr(), &memory, PyBUF_WRITABLE) != 0) throw nb::python_error();
  std::copy(numbers.begin(), numbers.end(), static_cast<T*>(memory.buf));
  PyBuffer_Release(&memory);
  return array;
}

}  // namespace

void load_numpy() {
  const nb::module_ module = nb::module_::import_("numpy");
  const auto kept = [&](const char* name) { return nb::object(module.attr(name)).release().ptr(); };
  numpy = {kept("empty"), kept("int64"), kept("float32")};
}

nb::tuple arrays_of(const Ranking& best) { return nb::make_tuple(array_of(best.rows), array_of(best.scores)); }

RowFilter checked_filter(std::size_t num_items, const OptionalRows& exclude, const OptionalRows& allow,
                         const OptionalMask& mask, std::size_t mask_count) {
  RowFilter filter;
  filter.allowed = checked_allowed(allow, num_items);
  if (exclude) {
    filter.excluded =
        checked_rows(exclude->data(), exclude->data() + exclude->size(), num_items, "exclude");
  }
  if (mask) {
    require(mask->size() == (num_items + 63) / 64, "the mask must have one bit for each item");
    const std::size_t tail = num_items % 64;
    require(tail == 0 || mask->data()[mask->size() - 1] >> tail == 0, "the mask has bits past the last item");
    filter.mask.words = mask->data();
    filter.mask.count = mask_count;
  }
  return filter;
}

}  // namespace lightrec
