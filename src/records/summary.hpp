#pragma once

#include "autoexec/metrics.hpp"
#include "protocol/metric_reader.hpp"
#include "records/duration_sketch.hpp"
#include "records/execution_table.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
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

    /// A hint: begins to load from memory what `add` will need for the line with this text.
    void expect(std::string_view text);

    /// `day`: of the file that has the line.
    void add(const protocol::MetricLine& line, std::string_view day);

    [[nodiscard]] MetricsSummary summary() const;

private:
    /// Of a group.
    struct Sums {
        void add(const protocol::MetricLine& line);
        void add(const Sums& more);
        std::optional<Usage>& usage_without_cost_of(std::string_view model);
        [[nodiscard]] MetricsTotals totals() const;

        std::uint64_t executions = 0;
        std::uint64_t attempts = 0;
        std::uint64_t retries = 0;
        std::array<std::uint64_t, 4> by_status{};
        double duration_ms = 0;
        double queued_ms = 0;
        DurationSketch durations;
        std::optional<Usage> usage;
        std::map<std::string, std::optional<Usage>, std::less<>> usage_without_cost;
    };
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const noexcept
        {
            return std::hash<std::string_view>{}(name);
        }
    };

    static bool is_repeated(const KnownExecution& execution, int retry_count);
    std::uint32_t group_of(const protocol::MetricLine& line, std::string_view day);
    void count_execution(const KnownExecution& execution, std::uint64_t by);

    MetricsGrouping grouping_;
    std::deque<Sums> sums_;  ///< By the number of the group.
    boost::unordered_flat_map<std::string, std::uint32_t, NameHash, std::equal_to<>> groups_;
    ExecutionTable executions_;
};

}  // namespace autoexec::records
