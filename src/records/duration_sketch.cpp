#include "records/duration_sketch.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace autoexec::records {
namespace {

constexpr double max_error = 0.01;
constexpr double bucket_ratio = (1 + max_error) / (1 - max_error);
// Outside, a number counts as the nearest that is inside.
constexpr double min_value = 1e-6;
constexpr double max_value = 1e15;

}  // namespace

void DurationSketch::add(double value)
{
    static const double log_ratio = std::log(bucket_ratio);
    ++count_;
    if (!(value >= min_value)) {
        ++zeros_;
        return;
    }
    ++buckets_[static_cast<int>(std::ceil(std::log(std::min(value, max_value)) / log_ratio))];
}

void DurationSketch::add(const DurationSketch& more)
{
    for (const auto& [bucket, count] : more.buckets_) buckets_[bucket] += count;
    zeros_ += more.zeros_;
    count_ += more.count_;
}

double DurationSketch::quantile(double q) const
{
    if (count_ == 0) return 0;
    // The nearest rank: at least that part of the numbers is not larger.
    const auto rank =
        static_cast<std::uint64_t>(std::max(std::ceil(q * static_cast<double>(count_)) - 1, 0.0));
    if (rank < zeros_) return 0;
    std::vector<std::pair<int, std::uint64_t>> sorted(buckets_.begin(), buckets_.end());
    std::sort(sorted.begin(), sorted.end());
    auto left = rank - zeros_;
    for (const auto& [bucket, count] : sorted) {
        if (left >= count) {
            left -= count;
            continue;
        }
        // The number whose relative distance to both ends of the bucket is the same.
        return 2 * std::pow(bucket_ratio, bucket) / (bucket_ratio + 1);
    }
    return 0;
}

}  // namespace autoexec::records
