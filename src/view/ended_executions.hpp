#pragma once

#include "autoexec/view.hpp"
#include "queue/queue_folder.hpp"
#include "view/entries.hpp"
#include "view/newest_metrics.hpp"
#include "view/read_check.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace autoexec::view {

/// The executions that ended last: from the metrics, and from the results of detached ones, which
/// know more.
class EndedExecutions {
public:
    EndedExecutions(std::filesystem::path project_root, std::size_t max_ended);

    /// Reads again what has changed.
    void refresh();

    /// The newest. `is_current`: whether an execution has not ended, whatever was recorded of it.
    [[nodiscard]] EntryList<EndedExecutionEntry> list(
        const std::function<bool(const std::string& id)>& is_current);

private:
    using Entry = std::shared_ptr<const EndedExecutionEntry>;
    struct Result {
        ReadCheck check{};
        Entry entry{};  ///< Null: it cannot be read.
    };
    /// Made of the other two.
    struct Merged {
        NewestMetrics::Metric metric;
        Entry result;
        Entry entry;
    };

    void refresh_results();
    [[nodiscard]] Entry read_result(const std::string& id) const;
    void merge(std::map<std::string, Merged>& all, const std::string& id,
               const NewestMetrics::Metric& metric, const Entry& result);

    std::filesystem::path project_root_;
    std::size_t max_ended_;
    queue::QueueFolder queue_;
    NewestMetrics metrics_;
    ReadCheck results_check_;
    std::map<std::string, Result> results_;
    std::map<std::string, Merged> merged_;
};

}  // namespace autoexec::view
