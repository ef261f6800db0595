#pragma once

#include "autoexec/metrics.hpp"
#include "protocol/metric_reader.hpp"
#include "records/duration_sketch.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::records {

/// The name of the workflow whose run has that id.
std::string_view workflow_of_run(std::string_view run_id);

/// Sums attempts, given from the newest to the oldest. Memory is bounded: it knows the executions
/// of the last 131,072 lines or more, and those of which attempts are still missing.
class SummaryBuilder {
public:
    explicit SummaryBuilder(MetricsGrouping grouping);

    /// `day`: of the file that has the line.
    void add(const protocol::MetricLine& line, std::string_view day);

    [[nodiscard]] MetricsSummary summary() const;

private:
    struct Sums {
        MetricsTotals totals;  ///< Averages are the sums.
        DurationSketch durations;
    };
    /// What is known of an execution: the group and the status of its last attempt.
    struct Known {
        std::uint64_t seen = 0;  ///< Bit n: attempt n + 1; bit 63: that and all after it.
        std::uint32_t group = 0;
        std::int32_t last = 0;    ///< Its `retry_count`.
        std::int32_t newest = 0;  ///< `retry_count` of the line before.
        ExecutionStatus status = ExecutionStatus::failed;
    };
    using Executions = boost::unordered_flat_map<std::uint64_t, Known>;

    Known& known(std::string_view execution_id, bool& is_new);
    static bool is_repeated(const Known& execution, int retry_count);
    std::uint32_t group_of(const protocol::MetricLine& line, std::string_view day);
    void count_execution(const Known& execution, std::uint64_t by);
    void forget_old();

    template <class Change>
    void each_sum(std::uint32_t group, Change change);

    MetricsGrouping grouping_;
    std::deque<Sums> sums_;  ///< Of all attempts, then of each group.
    std::map<std::string, std::uint32_t, std::less<>> groups_;
    Executions recent_;
    Executions older_;
};

}  // namespace autoexec::records
