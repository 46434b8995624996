#include "user_candidates.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <utility>

#include "eight_queries.hpp"
#include "score_every_item.hpp"
#include "score_table.hpp"

namespace lightrec {
namespace {

void rows_of(KBest& best, std::vector<std::int32_t>& rows) {
  const Ranking found = best.finish(Order::kAny);
  rows.resize(found.size());
  std::transform(found.rows.begin(), found.rows.end(), rows.begin(),
                 [](std::int64_t row) { return static_cast<std::int32_t>(row); });
  std::sort(rows.begin(), rows.end());
}

}  // namespace

CandidatePicker::CandidatePicker(const UserFitProblem& problem, const PackedCodes& codes,
                                 std::size_t num_codewords, std::size_t first_user, std::size_t num_users)
    : problem_(problem),
      codes_(codes),
      words_(num_codewords),
      first_(first_user),
      teachers_best_(num_users),
      picked_(num_users),
      entries_(codes, num_codewords) {
  for (std::size_t u = 0; u < num_users; ++u) {
    teachers_best_[u] = best_of_teacher(u);
    picked_[u] = teachers_best_[u].rows;
  }
}

void CandidatePicker::pick(const float* tables) {
  if (problem_.false_positives == 0) return;
  students_best_.resize(picked_.size());
  for (std::size_t u = 0; u < picked_.size(); ++u) {
    students_best_[u].start(problem_.false_positives, known_bar(u, tables + u * table_size()));
  }
  scan(tables);
  std::vector<std::int32_t> own;
  for (std::size_t u = 0; u < picked_.size(); ++u) {
    rows_of(students_best_[u], own);
    picked_[u].clear();
    const std::vector<std::int32_t>& best = teachers_best_[u].rows;
    std::set_union(own.begin(), own.end(), best.begin(), best.end(), std::back_inserter(picked_[u]));
  }
}

void CandidatePicker::list_own(std::size_t user, Candidates& candidates) const {
  candidates.rows = picked_[user];
  candidates.weights.assign(candidates.size(), problem_.rank_weights[problem_.candidates]);
  candidates.targets.resize(candidates.size());
  const float* scores = teacher_scores(user);
  const Best& best = teachers_best_[user];
  std::size_t next = 0;  // of the teacher's best, all of which are among the candidates
  for (std::size_t j = 0; j < candidates.size(); ++j) {
    candidates.targets[j] = scores[candidates.rows[j]];
    if (next < best.rows.size() && best.rows[next] == candidates.rows[j]) {
      candidates.weights[j] = best.weights[next++];
    }
  }
}

void CandidatePicker::list_catalogue(std::size_t user, std::size_t round, CatalogueTargets& targets) const {
  const std::int32_t* rows = problem_.catalogue + round * problem_.catalogue_size;
  const float* scores = teacher_scores(user);
  RowCursor seen(problem_.seen[first_ + user]);
  targets.scores.resize(problem_.catalogue_size);
  targets.seen.clear();
  for (std::size_t i = 0; i < problem_.catalogue_size; ++i) {
    targets.scores[i] = scores[rows[i]];
    if (seen.contains(static_cast<std::size_t>(rows[i]))) targets.seen.push_back(static_cast<std::uint32_t>(i));
  }
}

void CandidatePicker::list(std::size_t user, std::size_t round, Candidates& candidates) const {
  list_own(user, candidates);
  const std::int32_t* rows = problem_.catalogue + round * problem_.catalogue_size;
  const float* scores = teacher_scores(user);
  RowCursor seen(problem_.seen[first_ + user]);
  for (std::size_t i = 0; i < problem_.catalogue_size; ++i) {
    if (seen.contains(static_cast<std::size_t>(rows[i]))) continue;
    candidates.rows.push_back(rows[i]);
    candidates.targets.push_back(scores[rows[i]]);
    candidates.weights.push_back(problem_.catalogue_weight);
  }
}

const float* CandidatePicker::teacher_scores(std::size_t user) const {
  return problem_.teacher_scores + (first_ + user) * codes_.num_items();
}

CandidatePicker::Best CandidatePicker::best_of_teacher(std::size_t user) const {
  const float* scores = teacher_scores(user);
  const std::size_t num_items = codes_.num_items();
  RowCursor seen(problem_.seen[first_ + user]);
  KBest best_scores;
  best_scores.start(problem_.candidates, kNoBar);
  for (std::size_t first = 0; first < num_items; first += kBlock) {
    const std::size_t end = std::min(first + kBlock, num_items);
    int any = 0;
    for (std::size_t j = first; j < end; ++j) any |= static_cast<int>(scores[j] > best_scores.bar());
    if (any == 0) continue;
    for (std::size_t j = first; j < end; ++j) {
      if (scores[j] > best_scores.bar() && !seen.contains(j)) best_scores.push(scores[j], j);
    }
  }
  const Ranking ranked = best_scores.finish();
  std::vector<std::pair<std::int32_t, float>> found(ranked.size());
  for (std::size_t rank = 0; rank < found.size(); ++rank) {
    found[rank] = {static_cast<std::int32_t>(ranked.rows[rank]), problem_.rank_weights[rank]};
  }
  std::sort(found.begin(), found.end());
  Best best;
  for (const auto& [row, weight] : found) {
    best.rows.push_back(row);
    best.weights.push_back(weight);
  }
  return best;
}

// A score that all false positives exceed: as many of the present candidates do.
float CandidatePicker::known_bar(std::size_t user, const float* table) {
  const std::vector<std::int32_t>& known = picked_[user];
  if (known.size() < problem_.false_positives) return kNoBar;
  entries_.find(known.data(), known.size());
  scores_.resize(known.size());
  entries_.for_each([&](std::size_t j, const std::uint16_t* entries, std::size_t num_codebooks) {
    scores_[j] = sum_at(table, entries, num_codebooks);
  });
  const auto worst = scores_.begin() + static_cast<std::ptrdiff_t>(problem_.false_positives) - 1;
  std::nth_element(scores_.begin(), worst, scores_.end(), std::greater<>());
  return std::nextafter(*worst, kNoBar);
}

void CandidatePicker::scan(const float* tables) {
  const Rows* seen = problem_.seen + first_;
  if (students_best_.size() == 1) {
    const PaddedTable padded(tables, codes_.num_codebooks(), words_);
    score_every_item(codes_, padded.entries(), seen[0], students_best_[0]);
    return;
  }
  EightTables eight(codes_.num_codebooks());
  eight.load(tables, students_best_.size(), words_);
  score_every_item_for_eight(codes_, eight, students_best_.size(), seen, students_best_.data());
}

}  // namespace lightrec
