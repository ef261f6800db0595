#include "records/queries.hpp"

#include "files/safe_files.hpp"
#include "protocol/record_lines.hpp"
#include "protocol/usage.hpp"
#include "records/read_lines.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <limits>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace autoexec::records {
namespace {

namespace json = boost::json;

constexpr std::string_view name_suffix = ".jsonl";

std::string_view prefix_of(MetricsFile file)
{
    return file == MetricsFile::executions ? "executions_" : "attempts_";
}

bool is_day_file(std::string_view name, MetricsFile file)
{
    const auto prefix = prefix_of(file);
    if (!name.starts_with(prefix) || !name.ends_with(name_suffix)) return false;
    if (name.size() != prefix.size() + 10 + name_suffix.size()) return false;
    const auto date = name.substr(prefix.size(), 10);
    for (std::size_t i = 0; i < date.size(); ++i) {
        const bool dash = i == 4 || i == 7;
        if (dash ? date[i] != '-' : date[i] < '0' || date[i] > '9') return false;
    }
    return true;
}

// Sorted by name, because copying or restoring files changes their times.
std::vector<std::string> day_files_newest_first(int folder, MetricsFile file)
{
    auto names = files::list_folder(folder, std::numeric_limits<std::size_t>::max());
    std::erase_if(names, [file](const std::string& name) { return !is_day_file(name, file); });
    std::sort(names.begin(), names.end(), std::greater<>{});
    return names;
}

// Calls `consume` for each line, newest first, until it returns false. Returns the number of lines
// that were too long.
std::uint64_t scan(const Folder& location, MetricsFile kind, const ReportUnreadable& report,
                   const std::function<bool(std::string_view line)>& take)
{
    const auto is_usable = [&report](const std::filesystem::path& path, error_code ec) {
        const bool exists = ec != boost::system::errc::no_such_file_or_directory;
        if (ec && exists && report) report(path, ec);
        return !ec;
    };
    std::uint64_t skipped = 0;
    error_code ec;
    const auto folder = location.open(ec);
    if (!is_usable(location.path(), ec)) return skipped;
    for (const auto& name : day_files_newest_first(folder.get(), kind)) {
        auto file = Folder::open_log(folder.get(), name, ec);
        if (!is_usable(location.path() / name, ec)) continue;
        ReverseLines lines(std::move(file));
        while (const auto line = lines.next()) {
            if (!take(*line)) return skipped;
        }
        skipped += lines.skipped();
    }
    return skipped;
}

bool is_equal(const json::object& event, std::string_view key,
              const std::optional<std::string>& wanted)
{
    if (is_any(wanted)) return true;
    const auto* value = event.if_contains(key);
    return value != nullptr && value->is_string() && value->get_string() == *wanted;
}

bool matches(const json::object& event, const AuditFilter& filter)
{
    return is_equal(event, "workflow_id", filter.workflow_id) &&
           is_equal(event, "step_id", filter.step_id) &&
           is_equal(event, "event_type", filter.event_type) &&
           is_equal(event, "execution_id", filter.execution_id);
}

// By the ids alone: the status of a metric may be spelled as in the original format.
template <class Filter>
bool may_match(std::string_view line, const Filter& filter)
{
    return may_hold(line, filter.execution_id) && may_hold(line, filter.workflow_id) &&
           may_hold(line, filter.step_id);
}

// The log and its backups, newest first. A concurrent rotation renames a file to a name that is
// opened later, so none is missed; the inode identifies files opened twice.
std::vector<files::UniqueFd> open_logs(const Folder& location, int max_backups)
{
    std::vector<files::UniqueFd> logs;
    error_code ec;
    const auto folder = location.open(ec);
    if (ec) return logs;

    std::set<std::pair<dev_t, ino_t>> known;
    for (int i = 0; i <= max_backups; ++i) {
        auto name = std::string(audit_log_name);
        if (i > 0) name += "." + std::to_string(i);
        auto log = Folder::open_log(folder.get(), name, ec);
        struct stat st {};
        if (!ec && ::fstat(log.get(), &st) == 0 && known.emplace(st.st_dev, st.st_ino).second)
            logs.push_back(std::move(log));
    }
    return logs;
}

std::string key_of(const ExecutionMetric& metric)
{
    return std::to_string(metric.retry_count) + ' ' + metric.execution_id;
}

// A line can occur twice if its writer could not determine whether the first one was synced.
class DuplicateFilter {
public:
    bool is_new(const ExecutionMetric& metric) { return seen_.insert(key_of(metric)).second; }

private:
    std::unordered_set<std::string> seen_;
};

bool matches(const ExecutionMetric& metric, const MetricsFilter& filter)
{
    const auto is_equal = [](const auto& value, const std::optional<std::string>& wanted) {
        return is_any(wanted) || value == wanted;
    };
    return is_equal(metric.workflow_id, filter.workflow_id) &&
           is_equal(metric.step_id, filter.step_id) &&
           (!filter.status || metric.status == filter.status) &&
           is_equal(metric.execution_id, filter.execution_id);
}

// Sums attempts; an execution is counted by its last attempt.
class Totals {
public:
    void add(const ExecutionMetric& metric)
    {
        ++attempts_;
        duration_ += metric.duration;
        const auto [last, is_first] = last_.try_emplace(metric.execution_id);
        if (!is_first && metric.retry_count < last->second.retry_count) return;
        last->second = {metric.retry_count, metric.status};
    }

    MetricsSummary summary() const
    {
        MetricsSummary summary;
        summary.total_attempts = attempts_;
        summary.total_executions = last_.size();
        std::uint64_t completed = 0;
        for (const auto& [id, last] : last_) {
            ++summary.by_status[last.status];
            if (last.status == ExecutionStatus::completed) ++completed;
            summary.total_retries += static_cast<std::uint64_t>(last.retry_count);
        }
        if (attempts_ == 0) return summary;
        summary.success_rate = static_cast<double>(completed) / static_cast<double>(last_.size());
        summary.average_duration = duration_ / static_cast<double>(attempts_);
        return summary;
    }

private:
    struct Last {
        int retry_count = 0;
        ExecutionStatus status = ExecutionStatus::failed;
    };
    std::unordered_map<std::string, Last> last_;
    std::uint64_t attempts_ = 0;
    std::chrono::duration<double, std::milli> duration_{0};
};

}  // namespace

std::vector<json::object> read_audit(const Folder& folder, const AuditFilter& filter,
                                     int max_backups)
{
    std::vector<json::object> found;
    for (auto& log : open_logs(folder, max_backups)) {
        ReverseLines lines(std::move(log));
        while (const auto line = lines.next()) {
            if (!may_match(*line, filter) || !may_hold(*line, filter.event_type)) continue;
            auto event = protocol::parse_audit(*line);
            if (!event || !matches(*event, filter)) continue;
            found.push_back(std::move(*event));
            if (found.size() == filter.limit) return found;
        }
    }
    return found;
}

std::string metrics_file_name(MetricsFile file, std::string_view date)
{
    return std::string(prefix_of(file)) + std::string(date) + std::string(name_suffix);
}

std::vector<ExecutionMetric> read_metrics(const Folder& folder, const MetricsFilter& filter,
                                          MetricsFile file, const ReportUnreadable& report)
{
    std::vector<ExecutionMetric> found;
    DuplicateFilter repeats;
    scan(folder, file, report, [&](std::string_view line) {
        if (!may_match(line, filter)) return true;
        auto metric = protocol::parse_metric(line);
        if (!metric || !matches(*metric, filter) || !repeats.is_new(*metric)) return true;
        found.push_back(std::move(*metric));
        return found.size() != filter.limit;
    });
    return found;
}

std::vector<ExecutionMetric> read_history(const Folder& folder, const MetricsFilter& filter,
                                          const ReportUnreadable& report)
{
    // Several processes may have appended to the two files in different orders.
    constexpr std::size_t slack = 100;
    auto more = filter;
    if (more.limit > 0) more.limit += slack;
    std::unordered_map<std::string, ExecutionMetric> attempts;
    for (auto& attempt : read_metrics(folder, more, MetricsFile::attempts, report))
        attempts.emplace(key_of(attempt), std::move(attempt));
    auto found = read_metrics(folder, filter, MetricsFile::executions, report);
    for (auto& metric : found)
        if (auto attempt = attempts.extract(key_of(metric))) metric = std::move(attempt.mapped());
    return found;
}

MetricsSummary summarize_metrics(const Folder& folder, const ReportUnreadable& report)
{
    Totals totals;
    DuplicateFilter repeats;
    std::uint64_t bad = 0;
    const auto too_long = scan(folder, MetricsFile::executions, report, [&](std::string_view line) {
        const auto metric = protocol::parse_metric(line);
        if (!metric)
            ++bad;
        else if (repeats.is_new(*metric))
            totals.add(*metric);
        return true;
    });
    auto summary = totals.summary();
    summary.skipped_lines = bad + too_long;
    DuplicateFilter known;
    scan(folder, MetricsFile::attempts, report, [&](std::string_view line) {
        const auto attempt = protocol::parse_metric(line);
        if (!attempt || !attempt->usage || !known.is_new(*attempt)) return true;
        protocol::add_usage(summary.usage, attempt->usage);
        if (attempt->usage->cost_usd) return true;
        std::optional<Usage> part = std::move(summary.usage_without_cost[attempt->usage->model]);
        protocol::add_usage(part, attempt->usage);
        summary.usage_without_cost[attempt->usage->model] = *std::move(part);
        return true;
    });
    return summary;
}

}  // namespace autoexec::records
