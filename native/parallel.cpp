#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace lightrec {

void parallel_for(std::size_t num_pieces, std::size_t threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto run = [&] {
    try {
      for (std::size_t piece = next++; piece < num_pieces; piece = next++) work(piece);
    } catch (...) {
      next = num_pieces;
      const std::lock_guard<std::mutex> lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };

  std::vector<std::thread> helpers;
  const std::size_t wanted = std::min(std::max<std::size_t>(threads, 1), num_pieces);
  if (wanted > 1) helpers.reserve(wanted - 1);
  // Nothing is thrown from the first start to the last join: a running thread that is destroyed ends the program.
  for (std::size_t i = 1; i < wanted; ++i) {
    try {
      helpers.emplace_back(run);
    } catch (const std::exception&) {
      break;  // no more threads, or no memory for one: the ones there are do the work
    }
  }
  run();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

std::size_t worthwhile(std::size_t threads, std::size_t microseconds) {
  constexpr std::size_t kFewest = 100;  // microseconds of work for each
  return std::min(std::max<std::size_t>(threads, 1), std::max<std::size_t>(microseconds / kFewest, 1));
}

}  // namespace lightrec
