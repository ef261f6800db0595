#include "cli/session/find_execution.hpp"

#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "queue/queue_folder.hpp"
#include "records/queries.hpp"
#include "records/running.hpp"

#include <set>

namespace autoexec::cli {
namespace {

std::vector<ExecutionMetric> history_of(const std::filesystem::path& root,
                                        const MetricsFilter& filter)
{
    return records::read_metrics(records::Folder::of({}, root, "metrics"), filter).metrics;
}

std::set<std::string> known_executions(const std::filesystem::path& root)
{
    queue::QueueFolder folder(root);
    std::set<std::string> known;
    for (const auto& request : folder.list_waiting()) known.insert(request->id());
    for (const auto& request : folder.list_started()) known.insert(request->id());
    for (auto& id : folder.list_ended()) known.insert(std::move(id));
    for (auto& entry : records::list_running(root))
        known.insert(std::move(entry.record.execution_id));
    for (auto& record : records::list_executions(root))
        known.insert(std::move(record.execution_id));
    return known;
}

}  // namespace

std::vector<ExecutionMetric> attempts_of(const std::filesystem::path& root,
                                         const std::string& execution_id)
{
    MetricsFilter filter;
    filter.execution_id = execution_id;
    return history_of(root, filter);
}

std::string find_execution(const std::filesystem::path& root, const std::string& wanted)
{
    const auto is_other = [&wanted](const std::string& id) { return !is_called(id, wanted); };
    auto found = known_executions(root);
    std::erase_if(found, is_other);
    if (found.empty()) {  // the history may be long
        for (auto& metric : history_of(root, {})) found.insert(std::move(metric.execution_id));
        std::erase_if(found, is_other);
    }
    if (found.size() != 1)
        fail(exit_usage, "{}; see autoexec status, history and workflow list",
             unmatched(wanted, !found.empty()));
    return *found.begin();
}

}  // namespace autoexec::cli
