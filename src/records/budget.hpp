#pragma once

#include "autoexec/config.hpp"
#include "protocol/usage.hpp"
#include "records/log_file.hpp"

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::records {

/// Whether the limits of what commands may cost allow another one to start. The costs of the UTC
/// day are those in its attempts file, also of other processes, and those of this run that may not
/// be there yet. Unknown costs count as zero.
///
/// Thread safety: none.
class Budget {
public:
    using Time = std::chrono::system_clock::time_point;

    /// `metrics`: the folder of the attempts files.
    Budget(BudgetConfig limits, ModelPrices prices, Folder metrics);

    /// What was added before keeps the cost that it had.
    void set_limits(BudgetConfig limits, ModelPrices prices);

    /// What the workflow of this run allows it, besides `BudgetConfig`: the lower one counts.
    void set_workflow_limits(protocol::SpendingLimits limits) { workflow_limits_ = limits; }

    /// An attempt of this run has ended. May be called again with the same id. Returns a warning,
    /// once, if a limit cannot be enforced.
    std::string add(const std::string& attempt_id, const std::optional<Usage>& usage, Time now);
    /// What the run had used before it was resumed.
    void add_earlier(const protocol::UsageByExecution& usage);

    /// Which limit is reached, and how to continue; empty: a command may start.
    std::string refusal(Time now);

private:
    using Costs = std::map<std::string, protocol::Spending>;

    void read_day(Time now);
    void add_line(std::string_view line);

    BudgetConfig limits_;
    protocol::SpendingLimits workflow_limits_;
    ModelPrices prices_;
    Folder metrics_;
    Costs run_;
    Costs day_;
    std::string date_;
    off_t read_ = 0;  ///< Of the attempts file of that day.
    bool warned_ = false;
};

}  // namespace autoexec::records
