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
#include <utility>

namespace autoexec::view {

/// The executions that ended last: from the metrics, and from the results of detached ones, which
/// know more.
class EndedExecutions {
public:
    EndedExecutions(std::filesystem::path project_root, std::size_t max_ended);

    /// Begins to look at everything.
    void begin_sweep();
    /// Does a part of that, some ten system calls. False: nothing is left.
    bool step();

    /// Looks at the result of a detached one.
    void look_at(const std::string& id);
    /// Looks at what has been appended to the metrics.
    void look_at_metrics();
    /// Looks at a file of the metrics, which may be new.
    void look_at_metrics(const std::string& name);

    /// Whether something has changed since the last call.
    [[nodiscard]] bool take_changed() { return std::exchange(changed_, false); }
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

    void list_results();
    void look_at(int folder, const std::string& id, Result& result);
    [[nodiscard]] Entry read_result(const std::string& id) const;
    void merge(std::map<std::string, Merged>& all, const std::string& id,
               const NewestMetrics::Metric& metric, const Entry& result);

    std::filesystem::path project_root_;
    std::size_t max_ended_;
    queue::QueueFolder queue_;
    NewestMetrics metrics_;
    std::map<std::string, Result> results_;
    std::map<std::string, Merged> merged_;
    bool changed_ = false;

    // Of a sweep.
    bool sweeping_ = false;
    std::string id_;  ///< Before the next result.
};

}  // namespace autoexec::view
