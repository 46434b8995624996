#include "k_best.hpp"

#include <algorithm>

#include "instruction_sets.hpp"

#if LIGHTREC_X86
#include <immintrin.h>
#endif

namespace lightrec {
namespace {

constexpr std::size_t kTooManyTies = 512;  // equal scores at the bar that are carried along

LIGHTREC_MULTIVERSIONED
std::size_t count_portable(const std::int32_t* orders, std::size_t size, std::int32_t least) {
  std::int32_t count = 0;
  for (std::size_t i = 0; i < size; ++i) count += static_cast<std::int32_t>(orders[i] >= least);
  return static_cast<std::size_t>(count);
}

// Moves the items that reach `least` to `orders_to` and `items_to`, which lie no higher, and returns their number.
std::size_t keep_portable(const std::int32_t* orders, const std::uint32_t* items, std::size_t size,
                          std::int32_t least, std::int32_t* orders_to, std::uint32_t* items_to) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const std::int32_t mine = orders[i];
    const std::uint32_t item = items[i];
    orders_to[kept] = mine;
    items_to[kept] = item;
    kept += mine >= least ? 1U : 0U;
  }
  return kept;
}

#if LIGHTREC_X86
constexpr std::size_t kLanes = 16;

LIGHTREC_AVX512 inline __mmask16 lanes(std::size_t left) {
  return static_cast<__mmask16>(left < kLanes ? (1U << left) - 1 : 0xFFFFU);
}

LIGHTREC_AVX512
std::size_t count_avx512(const std::int32_t* orders, std::size_t size, std::int32_t least) {
  const __m512i wanted = _mm512_set1_epi32(least);
  unsigned count = 0;
  for (std::size_t i = 0; i < size; i += kLanes) {
    const __mmask16 here = lanes(size - i);
    const __m512i mine = _mm512_maskz_loadu_epi32(here, orders + i);
    count += static_cast<unsigned>(__builtin_popcount(_mm512_mask_cmpge_epi32_mask(here, mine, wanted)));
  }
  return count;
}

// Whole registers are written; what lies past the items kept has been read before.
LIGHTREC_AVX512
std::size_t keep_avx512(const std::int32_t* orders, const std::uint32_t* items, std::size_t size,
                        std::int32_t least, std::int32_t* orders_to, std::uint32_t* items_to) {
  const __m512i wanted = _mm512_set1_epi32(least);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < size; i += kLanes) {
    const __mmask16 here = lanes(size - i);
    const __m512i mine = _mm512_maskz_loadu_epi32(here, orders + i), item = _mm512_maskz_loadu_epi32(here, items + i);
    const __mmask16 reach = _mm512_mask_cmpge_epi32_mask(here, mine, wanted);
    _mm512_mask_storeu_epi32(orders_to + kept, here, _mm512_maskz_compress_epi32(reach, mine));
    _mm512_mask_storeu_epi32(items_to + kept, here, _mm512_maskz_compress_epi32(reach, item));
    kept += static_cast<std::size_t>(__builtin_popcount(reach));
  }
  return kept;
}

LIGHTREC_AVX512
std::size_t place_of_avx512(std::int32_t order, const std::int32_t* orders, std::size_t size, std::size_t begin) {
  const __m512i wanted = _mm512_set1_epi32(order);
  for (; begin < size; begin += kLanes) {
    const __mmask16 here = lanes(size - begin);
    const __m512i some = _mm512_maskz_loadu_epi32(here, orders + begin);
    const __mmask16 found = _mm512_mask_cmpeq_epi32_mask(here, some, wanted);
    if (found != 0) return begin + static_cast<std::size_t>(__builtin_ctz(found));
  }
  return size;
}

bool has_avx512() {
  static const bool has = best_instruction_set() == InstructionSet::kAvx512Vbmi;
  return has;
}
#endif

std::size_t count_from(const std::int32_t* orders, std::size_t size, std::int32_t least) {
#if LIGHTREC_X86
  if (has_avx512()) return count_avx512(orders, size, least);
#endif
  return count_portable(orders, size, least);
}

std::size_t keep_from(const std::int32_t* orders, const std::uint32_t* items, std::size_t size, std::int32_t least,
                      std::int32_t* orders_to, std::uint32_t* items_to) {
#if LIGHTREC_X86
  if (has_avx512()) return keep_avx512(orders, items, size, least, orders_to, items_to);
#endif
  return keep_portable(orders, items, size, least, orders_to, items_to);
}

LIGHTREC_MULTIVERSIONED
std::size_t place_of_portable(std::int32_t order, const std::int32_t* orders, std::size_t size, std::size_t begin) {
  constexpr std::size_t kAtOnce = 32;
  for (; begin + kAtOnce <= size; begin += kAtOnce) {
    std::int32_t found = 0;
    for (std::size_t j = 0; j < kAtOnce; ++j) found |= static_cast<std::int32_t>(orders[begin + j] == order);
    if (found != 0) break;
  }
  while (begin < size && orders[begin] != order) ++begin;
  return begin;
}

// The first place from `begin` on that holds the order; size where there is none.
std::size_t place_of(std::int32_t order, const std::int32_t* orders, std::size_t size, std::size_t begin) {
#if LIGHTREC_X86
  if (has_avx512()) return place_of_avx512(order, orders, size, begin);
#endif
  return place_of_portable(order, orders, size, begin);
}

struct Bounds {
  std::int32_t low, high;
};

LIGHTREC_MULTIVERSIONED
Bounds bounds_of(const std::int32_t* orders, std::size_t size) {
  Bounds found{orders[0], orders[0]};
  for (std::size_t i = 0; i < size; ++i) {
    found.low = orders[i] < found.low ? orders[i] : found.low;
    found.high = orders[i] > found.high ? orders[i] : found.high;
  }
  return found;
}

// An order at or above which there are at least `k` of the orders, and ties aside at most `most`, beside as many as
// count_going finds there. At the least of the orders there must be so many.
template <typename CountGoing>
std::int32_t order_beside(const std::int32_t* orders, std::size_t size, std::size_t k, std::size_t most,
                          CountGoing count_going) {
  const Bounds bounds = bounds_of(orders, size);
  if (count_from(orders, size, bounds.high) >= k + count_going(bounds.high)) return bounds.high;
  std::int64_t low = bounds.low, high = bounds.high;  // at least k reach low, fewer than k reach high
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    const std::size_t count = count_from(orders, size, static_cast<std::int32_t>(middle));
    const std::size_t going = count_going(static_cast<std::int32_t>(middle));
    if (count < k + going) {
      high = middle;
    } else {
      low = middle;
      if (count <= most + going) break;
    }
  }
  return static_cast<std::int32_t>(low);
}

}  // namespace

std::int32_t order_with(const std::int32_t* orders, std::size_t size, std::size_t k, std::size_t most) {
  return order_beside(orders, size, k, most, [](std::int32_t) { return std::size_t{0}; });
}

std::int32_t KBest::order_with_rank(std::size_t rank) const {
  return order_with(orders_.data(), size_, rank, rank);
}

std::size_t KBest::num_going(std::int32_t bar) const {
  return num_going_ == 0 ? 0 : count_from(going_orders_.data(), num_going_, bar);
}

void KBest::start(std::size_t k, float bar, const std::uint32_t* row_of, ScoredRows going) {
  k_ = k;
  bar_ = bar;
  row_of_ = row_of;
  size_ = settled_ = num_going_ = 0;
  if (going.size == 0) return;
  if (going_rows_.size() < going.size) {
    going_orders_.resize(going.size);
    going_rows_.resize(going.size);  // last, as its size is asked for: memory may end between the two
  }
  num_going_ = keep_from(going.orders, going.rows, going.size, order_of(bar), going_orders_.data(), going_rows_.data());
}

KBest::Room KBest::room(std::size_t count) {
  if (size_ + count > orders_.size()) {
    items_.resize(2 * (size_ + count));
    orders_.resize(2 * (size_ + count));  // last, as its size is asked for: memory may end between the two
  }
  return {orders_.data() + size_, items_.data() + size_};
}

bool KBest::raise() {
  const std::int32_t order = order_beside(orders_.data(), size_, k_, k_ + k_ / 8,
                                          [&](std::int32_t least) { return num_going(least); });
  drop_below(order);
  const std::size_t most = k_ + num_going_;
  if (size_ > most + most / 8 + kTooManyTies) drop_ties(order, most);
  const float reached = float_of(order);
  const bool rose = reached > bar_;
  bar_ = std::max(bar_, reached);
  return rose;
}

void KBest::drop_below(std::int32_t order) {
  std::int32_t* orders = orders_.data();
  std::uint32_t* items = items_.data();
  const std::size_t before = settled_;
  settled_ = keep_from(orders, items, before, order, orders, items);
  size_ = settled_ + keep_from(orders + before, items + before, size_ - before, order, orders + settled_,
                               items + settled_);
  if (num_going_ == 0) return;
  std::int32_t* going = going_orders_.data();
  num_going_ = keep_from(going, going_rows_.data(), num_going_, order, going, going_rows_.data());
}

// They are found by their scores: hardly another item has the same.
void KBest::drop_going() {
  if (num_going_ > 0 && size_ > k_ + k_ / 4 + num_going_) raise();  // so that there are fewer
  const std::int32_t* orders = orders_.data();
  for (std::size_t g = 0; g < num_going_; ++g) {
    std::size_t i = place_of(going_orders_[g], orders, size_, 0);
    while (i < size_ && row(i) != going_rows_[g]) i = place_of(going_orders_[g], orders, size_, i + 1);
    if (i == size_) continue;
    orders_[i] = orders_[--size_];
    items_[i] = items_[size_];
  }
  settled_ = size_;
  num_going_ = 0;
}

// Of the items that score exactly `order`, which more than `rank` reach, keeps those of the lowest rows.
void KBest::drop_ties(std::int32_t order, std::size_t rank) {
  std::vector<std::uint64_t> tied;  // row and place
  std::size_t kept = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    if (orders_[i] == order) {
      tied.push_back(std::uint64_t{row(i)} << 32 | items_[i]);
    } else {
      orders_[kept] = orders_[i];
      items_[kept++] = items_[i];
    }
  }
  const std::size_t room_left = std::min(rank - std::min(rank, kept), tied.size());
  if (room_left < tied.size()) {
    std::nth_element(tied.begin(), tied.begin() + static_cast<std::ptrdiff_t>(room_left), tied.end());
  }
  for (std::size_t i = 0; i < room_left; ++i) {
    orders_[kept] = order;
    items_[kept++] = static_cast<std::uint32_t>(tied[i]);
  }
  size_ = settled_ = kept;
}

// Keys in ascending order. They hold how far a score lies below the best one, then the row. A sort by comparisons has
// branches that nobody can predict: the upper halves are sorted by the sixteen highest of their bits that are ever set,
// byte by byte, and only what is equal then is compared.
void KBest::sort_keys() {
  constexpr std::size_t kFewest = 64, kDigits = 2, kValues = 256;
  constexpr int kBits = 16;
  const std::size_t size = keys_.size();
  if (size < kFewest) {
    std::sort(keys_.begin(), keys_.end());
    return;
  }
  std::uint64_t used = 1;
  for (const std::uint64_t key : keys_) used |= key >> 32;
  const int shift = 32 + std::max(64 - __builtin_clzll(used) - kBits, 0);
  std::uint32_t starts[kDigits][kValues] = {};
  for (const std::uint64_t key : keys_) {
    ++starts[0][key >> shift & 255U];
    ++starts[1][key >> (shift + 8) & 255U];
  }
  sorted_.resize(size);
  for (std::size_t digit = 0; digit < kDigits; ++digit) {
    std::uint32_t before = 0;
    for (std::uint32_t& start : starts[digit]) {
      const std::uint32_t count = start;
      start = before;
      before += count;
    }
    const std::size_t place = static_cast<std::size_t>(shift) + 8 * digit;
    for (const std::uint64_t key : keys_) sorted_[starts[digit][key >> place & 255U]++] = key;
    keys_.swap(sorted_);
  }
  for (std::size_t begin = 0; begin < size;) {
    std::size_t end = begin + 1;
    while (end < size && keys_[end] >> shift == keys_[begin] >> shift) ++end;
    if (end - begin > 1) {
      std::sort(keys_.begin() + static_cast<std::ptrdiff_t>(begin),
                keys_.begin() + static_cast<std::ptrdiff_t>(end));
    }
    begin = end;
  }
}

Ranking KBest::in_any_order() {
  if (size_ > k_) {
    const std::int32_t order = order_with_rank(k_);
    drop_below(order);
    if (size_ > k_) drop_ties(order, k_);
  }
  Ranking best;
  best.rows.resize(size_);
  best.scores.resize(size_);
  for (std::size_t i = 0; i < size_; ++i) {
    best.rows[i] = row(i);
    best.scores[i] = float_of(orders_[i]);
  }
  return best;
}

Ranking KBest::best_first() {
  if (size_ > k_ + k_ / 4) {  // to sort a few too many costs less than to find out which
    const std::int32_t order = order_with(orders_.data(), size_, k_, k_ + k_ / 4);
    drop_below(order);
    if (size_ > k_ + k_ / 4 + kTooManyTies) drop_ties(order, k_);
  }
  if (size_ == 0) return {};
  const std::int32_t highest = bounds_of(orders_.data(), size_).high;
  const auto top = static_cast<std::uint32_t>(highest);
  keys_.resize(size_);
  for (std::size_t i = 0; i < size_; ++i) {
    keys_[i] = std::uint64_t{top - static_cast<std::uint32_t>(orders_[i])} << 32 | row(i);
  }
  sort_keys();
  const std::size_t found = std::min(k_, size_);
  Ranking best;
  best.rows.resize(found);
  best.scores.resize(found);
  for (std::size_t i = 0; i < found; ++i) {
    best.rows[i] = static_cast<std::uint32_t>(keys_[i]);
    best.scores[i] = float_of(static_cast<std::int32_t>(top - static_cast<std::uint32_t>(keys_[i] >> 32)));
  }
  return best;
}

Ranking KBest::finish(Order wanted) {
  Ranking best = wanted == Order::kAny ? in_any_order() : best_first();
  if (orders_.size() > kMostKept) {
    LargeArray<std::int32_t>().swap(orders_);
    LargeArray<std::uint32_t>().swap(items_);
    std::vector<std::uint64_t>().swap(keys_);
    std::vector<std::uint64_t>().swap(sorted_);
    size_ = settled_ = 0;
  }
  return best;
}

}  // namespace lightrec
