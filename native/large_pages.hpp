// Arrays that are read from one end to the other, or anywhere: they begin where a line of a cache does, and where they
// are large, in large pages.
#pragma once

#include <stdlib.h>  // posix_memalign is no part of <cstdlib>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace lightrec {

// A register of 64 bytes that lies across two lines takes twice as long to read. Of arrays from a few megabytes on, asks
// the system for pages of 2 MB: with those of 4 KB, finding a page takes as long as reading it. Only whole large pages
// are asked for, so that nothing is wasted at the end.
template <typename T>
class LargePages {
 public:
  using value_type = T;

  LargePages() = default;
  template <typename U>
  LargePages(const LargePages<U>&) {}  // NOLINT(google-explicit-constructor): what containers expect

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    if (bytes < kFewest) return static_cast<T*>(::operator new(bytes, std::align_val_t{kLine}));
    void* memory = nullptr;
    if (posix_memalign(&memory, kPage, bytes) != 0) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    madvise(memory, bytes / kPage * kPage, MADV_HUGEPAGE);  // a wish: where it is not granted, nothing is lost
#endif
    return static_cast<T*>(memory);
  }

  void deallocate(T* memory, std::size_t count) {
    if (count * sizeof(T) < kFewest) {
      ::operator delete(memory, std::align_val_t{kLine});
    } else {
      std::free(memory);
    }
  }

  friend bool operator==(const LargePages&, const LargePages&) { return true; }
  friend bool operator!=(const LargePages&, const LargePages&) { return false; }

 private:
  static constexpr std::size_t kLine = 64, kPage = std::size_t{2} << 20, kFewest = 2 * kPage;
};

template <typename T>
using LargeArray = std::vector<T, LargePages<T>>;

}  // namespace lightrec
