// Several threads search the same scans at once and find what one thread finds, also while another one changes the
// mask that they read: the only thing of a scan that changes. Built with LIGHTREC_SANITIZE=thread (`make sanitize`),
// so that ThreadSanitizer watches them; 0 when all is well. Items like an item and post-ranking likewise.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bound_scan.hpp"
#include "cosine_scan.hpp"
#include "instruction_sets.hpp"
#include "mask_writer.hpp"
#include "portable_scan.hpp"
#include "post_ranking.hpp"
#include "scan.hpp"

namespace lightrec {
namespace {

constexpr std::size_t kThreads = 4;         // that search at the same time
constexpr std::size_t kThreadsOfBatch = 3;  // that each of them has for a batch
constexpr std::size_t kQueries = 11;        // one group of eight that share a pass, and some more

using Random = std::mt19937_64;

struct Shape {
  std::size_t num_items, num_codebooks, num_codewords;
};

std::vector<std::uint8_t> random_codes(const Shape& shape, Random& random) {
  std::vector<std::uint8_t> codes(shape.num_items * shape.num_codebooks);
  // Popular codewords, as quantisers make them: cells of very different sizes.
  std::geometric_distribution<std::size_t> word(0.02);
  for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(word(random) % shape.num_codewords);
  return codes;
}

std::vector<float> random_tables(const Shape& shape, Random& random) {
  std::vector<float> tables(kQueries * shape.num_codebooks * shape.num_codewords);
  std::normal_distribution<float> entry;
  for (float& value : tables) value = entry(random);
  return tables;
}

Labels random_labels(Random& random) {
  Labels labels;
  for (auto& book : labels) {
    std::iota(book.begin(), book.end(), std::uint8_t{0});
    std::shuffle(book.begin(), book.end(), random);
  }
  return labels;
}

// About one row in `every`, ascending.
std::vector<std::int32_t> random_rows(std::size_t num_items, std::size_t every, Random& random) {
  std::vector<std::int32_t> rows;
  for (std::size_t row = 0; row < num_items; ++row) {
    if (random() % every == 0) rows.push_back(static_cast<std::int32_t>(row));
  }
  return rows;
}

Rows borrow(const std::vector<std::int32_t>& rows) { return {rows.data(), rows.data() + rows.size()}; }

struct NamedScan {
  std::string name;
  std::unique_ptr<Scan> scan;
};

// A scan of every kind that this processor can run.
std::vector<NamedScan> every_scan(const std::uint8_t* codes, const Shape& shape, const Labels& labels) {
  const auto [items, books, words] = shape;
  std::vector<NamedScan> scans;
  scans.push_back({"portable", std::make_unique<PortableScan>(codes, items, books, words)});
  for (const InstructionSet set : {InstructionSet::kAvx2, InstructionSet::kAvx512Vbmi}) {
    if (set > best_instruction_set()) continue;
    for (const Layout layout : {Layout::kFlat, Layout::kTiles, Layout::kCells}) {
      if (layout == Layout::kTiles && bound_filter(set).tiles.near == nullptr) continue;
      const std::string name = std::string(set == InstructionSet::kAvx2 ? "avx2" : "avx512vbmi") +
                               (layout == Layout::kFlat    ? ", flat"
                                : layout == Layout::kTiles ? ", tiles"
                                                           : ", cells");
      scans.push_back({name, std::make_unique<BoundScan>(codes, items, books, words, labels, set, layout)});
    }
  }
  return scans;
}

// All queries under one filter, with the answers that one thread finds.
struct Task {
  std::string name;
  const Scan* scan;
  const float* tables;
  std::size_t k;
  std::vector<RowFilter> filters;  // of each query
  std::vector<Ranking> expected;   // likewise
};

std::vector<Ranking> answers(const Task& task) {
  const std::size_t table_size = task.scan->num_codebooks() * task.scan->num_codewords();
  std::vector<Ranking> found;
  for (std::size_t q = 0; q < kQueries; ++q) {
    const float* table = task.tables + q * table_size;
    found.push_back(task.scan->top_k(table, task.k, task.filters[q], Order::kBestFirst));
  }
  return found;
}

std::vector<Ranking> answers_of_batch(const Task& task) {
  std::vector<std::int64_t> rows(kQueries * task.k), counts(kQueries);
  std::vector<float> scores(kQueries * task.k);
  task.scan->top_k_batch(task.tables, kQueries, task.k, task.filters, kThreadsOfBatch,
                         BatchResult{rows.data(), scores.data(), counts.data(), task.k});
  std::vector<Ranking> found(kQueries);
  for (std::size_t q = 0; q < kQueries; ++q) {
    const auto begin = static_cast<std::ptrdiff_t>(q * task.k);
    const auto end = begin + static_cast<std::ptrdiff_t>(counts[q]);
    found[q].rows.assign(rows.begin() + begin, rows.begin() + end);
    found[q].scores.assign(scores.begin() + begin, scores.begin() + end);
  }
  return found;
}

bool equal(const std::vector<Ranking>& some, const std::vector<Ranking>& others) {
  const auto same = [](const Ranking& a, const Ranking& b) {
    return a.rows == b.rows && a.scores == b.scores;
  };
  return std::equal(some.begin(), some.end(), others.begin(), others.end(), same);
}

// Counts what differs and says so; from several threads.
class Differences {
 public:
  void expect(bool same, const std::string& what) {
    if (same) return;
    ++count_;
    std::fprintf(stderr, "differs: %s\n", what.c_str());
  }
  bool any() const { return count_ > 0; }

 private:
  std::atomic<std::size_t> count_{0};
};

// Every thread does every task, each in another order, all from the same moment on.
void search_at_once(const std::vector<Task>& tasks, Differences& differences) {
  std::atomic<bool> started{false};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::size_t> order(tasks.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::shuffle(order.begin(), order.end(), Random(t));
      while (!started) std::this_thread::yield();
      for (const std::size_t index : order) {
        const Task& task = tasks[index];
        differences.expect(equal(answers(task), task.expected), task.name + ", one by one");
        differences.expect(equal(answers_of_batch(task), task.expected), task.name + ", in a batch");
      }
    });
  }
  started = true;
  for (std::thread& thread : threads) thread.join();
}

void check_catalogue(const Shape& shape, const std::vector<std::size_t>& ks, Differences& differences) {
  const std::size_t num_items = shape.num_items;
  Random random(num_items);
  const std::vector<std::uint8_t> codes = random_codes(shape, random);
  const std::vector<float> tables = random_tables(shape, random);
  const std::vector<NamedScan> scans = every_scan(codes.data(), shape, random_labels(random));
  const std::vector<std::int32_t> many = random_rows(num_items, 2, random);
  const std::vector<std::int32_t> few = random_rows(num_items, num_items / 40, random);
  std::vector<std::vector<std::int32_t>> excluded;
  for (std::size_t q = 0; q < kQueries; ++q) excluded.push_back(random_rows(num_items, 20 + 100 * q, random));

  struct Condition {
    std::string name;
    bool excludes;
    std::optional<Rows> allowed;
  };
  const std::vector<Condition> conditions = {{"all rows", false, std::nullopt},
                                             {"excluded rows", true, std::nullopt},
                                             {"many allowed", false, borrow(many)},
                                             {"many allowed, some excluded", true, borrow(many)},
                                             {"few allowed, some excluded", true, borrow(few)}};
  std::vector<Task> tasks;
  for (const Condition& condition : conditions) {
    for (const std::size_t k : ks) {
      std::vector<Ranking> of_first_scan;
      for (const NamedScan& named : scans) {
        Task task{std::to_string(num_items) + " items, " + named.name + ", " + condition.name + ", k " +
                      std::to_string(k),
                  named.scan.get(), tables.data(), k, {}, {}};
        for (std::size_t q = 0; q < kQueries; ++q) {
          task.filters.push_back({condition.excludes ? borrow(excluded[q]) : Rows{}, condition.allowed, {}});
        }
        task.expected = answers(task);
        if (of_first_scan.empty()) of_first_scan = task.expected;
        differences.expect(equal(task.expected, of_first_scan), task.name + ", in one thread");
        tasks.push_back(std::move(task));
      }
    }
  }
  search_at_once(tasks, differences);
  std::printf("%zu items, %zu codebooks of %zu: %zu scans, %zu threads, %zu searches each\n", num_items,
              shape.num_codebooks, shape.num_codewords, scans.size(), kThreads, 2 * kQueries * tasks.size());
}

// While a writer switches every third row off and on, readers find k rows, best first, and none that is always off.
void search_while_a_mask_changes(const Shape& shape, std::size_t k, Differences& differences) {
  Random random(shape.num_items);
  const std::vector<std::uint8_t> codes = random_codes(shape, random);
  const std::vector<float> tables = random_tables(shape, random);
  const std::vector<NamedScan> scans = every_scan(codes.data(), shape, random_labels(random));
  std::vector<std::uint64_t> words((shape.num_items + 63) / 64, 0);
  std::vector<std::int32_t> even, switched;
  for (std::size_t row = 0; row < shape.num_items; row += 2) even.push_back(static_cast<std::int32_t>(row));
  for (std::size_t row = 0; row < shape.num_items; row += 6) switched.push_back(static_cast<std::int32_t>(row));
  set_rows(words.data(), borrow(even), true);
  RowFilter filter;
  filter.mask = {words.data(), (shape.num_items + 1) / 2};
  std::atomic<std::size_t> searching{kThreads};
  std::vector<std::thread> readers;
  for (std::size_t t = 0; t < kThreads; ++t) {
    readers.emplace_back([&] {
      for (const NamedScan& named : scans) {
        for (std::size_t q = 0; q < kQueries; ++q) {
          const float* table = tables.data() + q * shape.num_codebooks * shape.num_codewords;
          const Ranking found = named.scan->top_k(table, k, filter, Order::kBestFirst);
          const bool permitted = std::all_of(found.rows.begin(), found.rows.end(),
                                             [](std::int64_t row) { return row % 2 == 0; });
          const bool ordered = std::is_sorted(found.scores.rbegin(), found.scores.rend());
          differences.expect(found.size() == k && permitted && ordered, named.name + ", a mask that changes");
        }
      }
      --searching;
    });
  }
  for (bool permitted = false; searching > 0; permitted = !permitted) {
    const std::size_t changed = set_rows(words.data(), borrow(switched), permitted);
    differences.expect(changed == switched.size(), "how many rows of a mask have changed");
    std::this_thread::yield();
  }
  for (std::thread& reader : readers) reader.join();
}

// Items like an item from several threads at once, and batches of post-ranking with threads of their own.
void rank_at_once(const Shape& shape, std::size_t k, Differences& differences) {
  constexpr std::size_t kWidth = 64, kCandidates = 1000;  // enough for a batch to use its threads
  Random random(shape.num_items);
  std::normal_distribution<float> entry;
  const std::vector<std::uint8_t> codes = random_codes(shape, random);
  const std::vector<float> tables = random_tables(shape, random);
  std::vector<float> lengths(shape.num_items), vectors(shape.num_items * kWidth), queries(kQueries * kWidth);
  for (float& length : lengths) length = std::fabs(entry(random));
  for (float& number : vectors) number = entry(random);
  for (float& number : queries) number = entry(random);
  std::vector<std::int64_t> rows(kQueries * kCandidates), counts(kQueries, kCandidates);
  for (std::int64_t& row : rows) row = static_cast<std::int64_t>(random() % shape.num_items);
  const std::vector<std::int32_t> some = random_rows(shape.num_items, 3, random);

  const CosineScan scan(codes.data(), lengths.data(), shape.num_items, shape.num_codebooks, shape.num_codewords);
  const ItemVectors items{vectors.data(), shape.num_items, kWidth, ItemVectors::Type::kFloat32};
  const auto similar = [&] {
    std::vector<Ranking> found;
    for (std::size_t q = 0; q < kQueries; ++q) {
      const float* table = tables.data() + q * shape.num_codebooks * shape.num_codewords;
      found.push_back(scan.top_k(table, k, RowFilter{borrow(some), std::nullopt, {}}));
      found.push_back(scan.top_k(table, k, RowFilter{{}, borrow(some), {}}));
    }
    return found;
  };
  const auto ranked = [&](std::size_t threads) {
    std::vector<std::int64_t> best(kQueries * k), sizes(kQueries);
    std::vector<float> scores(kQueries * k);
    post_rank_batch(queries.data(), items, Recalled{rows.data(), counts.data(), kCandidates}, kQueries, k, threads,
                    BatchResult{best.data(), scores.data(), sizes.data(), k});
    return best;
  };
  const std::vector<Ranking> expected = similar();
  const std::vector<std::int64_t> best = ranked(1);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      differences.expect(equal(similar(), expected), "items like an item");
      differences.expect(ranked(kThreadsOfBatch) == best, "post-ranking in a batch");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace lightrec

int main() {
  lightrec::Differences differences;
  lightrec::check_catalogue({1000, 4, 256}, {1, 10, 200}, differences);   // no sample to guess a bar from
  lightrec::check_catalogue({30011, 4, 200}, {1, 10, 200}, differences);  // long runs of cells; padded tables
  lightrec::check_catalogue({30012, 8, 16}, {10}, differences);           // two codes share a byte
  lightrec::check_catalogue({210007, 4, 256}, {10}, differences);         // short runs
  lightrec::search_while_a_mask_changes({30011, 4, 200}, 200, differences);
  lightrec::rank_at_once({30011, 4, 200}, 10, differences);
  return differences.any() ? 1 : 0;
}
