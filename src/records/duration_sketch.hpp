#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>

namespace autoexec::records {

/// Quantiles of positive numbers, each within 1 % of an exact one, in memory that does not depend
/// on how many numbers there are: a histogram whose buckets grow by 2 % (DDSketch; Masson, Rim and
/// Lee, 2019).
class DurationSketch {
public:
    /// What is not a positive number counts as zero.
    void add(double value);

    /// All numbers of another one.
    void add(const DurationSketch& more);

    /// `q` from 0 to 1; zero if nothing was added.
    [[nodiscard]] double quantile(double q) const;

private:
    boost::unordered_flat_map<int, std::uint64_t> buckets_;
    std::uint64_t zeros_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace autoexec::records
