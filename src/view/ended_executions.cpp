#include "view/ended_executions.hpp"

#include "protocol/layout.hpp"
#include "protocol/result_format.hpp"
#include "records/log_file.hpp"
#include "view/output_file.hpp"
#include "view/stamps.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace autoexec::view {
namespace {

namespace fs = std::filesystem;

constexpr int results_of_step = 8;

EndedExecutionEntry entry_of(const ExecutionMetric& metric, const fs::path& root)
{
    EndedExecutionEntry entry;
    static_cast<ExecutionIds&>(entry) = metric.ids();
    entry.attempt_id = metric.attempt_id;
    entry.attempt = metric.retry_count + 1;
    entry.status = metric.status;
    entry.command = metric.command;
    entry.worktree = metric.worktree;
    entry.agent = metric.agent;
    entry.started_at = metric.started_at;
    entry.ended_at = metric.completed_at;
    entry.duration = metric.duration;
    entry.usage = metric.usage;
    entry.exit_code = metric.exit_code;
    entry.signal = metric.signal;
    entry.reported = metric.reported;
    entry.verified = metric.verified;
    entry.missing_artifacts = metric.missing_artifacts;
    entry.error_code = metric.error_code;
    entry.error_message = metric.error_message.value_or("");
    entry.output = output_file(root, metric.attempt_id);
    return entry;
}

EndedExecutionEntry entry_of(const ExecutionResult& result, const fs::path& root)
{
    EndedExecutionEntry entry;
    static_cast<ExecutionIds&>(entry) = result.ids();
    entry.attempt_id = result.attempt_id;
    entry.attempt = result.attempts;
    entry.status = result.status;
    entry.command = result.command;
    entry.worktree = result.worktree;
    entry.duration = result.duration;
    entry.usage = result.usage;
    entry.exit_code = result.exit_code;
    entry.signal = result.signal;
    entry.reported = result.reported;
    // It does not say whether any was expected.
    if (result.verified != Verification::none || !result.missing_artifacts.empty())
        entry.verified = result.verified;
    entry.missing_artifacts = result.missing_artifacts;
    if (result.error) {
        entry.error_code = result.error->code;
        entry.error_message = result.error->message;
    }
    entry.output = output_file(root, result.attempt_id);
    return entry;
}

files::UniqueFd open_results(const fs::path& root)
{
    error_code ec;
    return records::Folder{root, layout::ended_requests}.open(ec);
}

bool ended_later(const std::shared_ptr<const EndedExecutionEntry>& a,
                 const std::shared_ptr<const EndedExecutionEntry>& b)
{
    return a->ended_at != b->ended_at ? a->ended_at > b->ended_at : a->key() < b->key();
}

}  // namespace

EndedExecutions::EndedExecutions(fs::path project_root, std::size_t max_ended)
    : project_root_(std::move(project_root)),
      max_ended_(max_ended),
      queue_(project_root_),
      metrics_(records::Folder::of({}, project_root_, "metrics"), max_ended)
{}

void EndedExecutions::begin_sweep()
{
    sweeping_ = max_ended_ > 0;
    id_.clear();
    if (!sweeping_) return;
    if (metrics_.refresh()) changed_ = true;
    list_results();
}

bool EndedExecutions::step()
{
    const auto folder = sweeping_ ? open_results(project_root_) : files::UniqueFd();
    for (int count = 0; sweeping_ && count < results_of_step; ++count) {
        const auto next = results_.upper_bound(id_);
        sweeping_ = next != results_.end();
        if (!sweeping_) break;
        id_ = next->first;
        look_at(folder.get(), id_, next->second);
    }
    return sweeping_;
}

// Of the requests that were submitted last, whose names are last.
void EndedExecutions::list_results()
{
    auto ids = queue_.list_ended();
    if (ids.size() > max_ended_)
        ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(max_ended_));
    const auto before = results_.size();
    if (keep_only(results_, {ids.begin(), ids.end()}) || results_.size() != before) changed_ = true;
}

void EndedExecutions::look_at(int folder, const std::string& id, Result& result)
{
    const auto stamp = folder < 0 ? FileStamp{} : stamp_at(folder, id + ".json");
    if (!result.check.must_read(stamp, ReadCheck::clock::now())) return;
    result.entry = read_result(id);
    changed_ = true;
}

void EndedExecutions::look_at(const std::string& id)
{
    if (max_ended_ == 0 || !protocol::is_queue_id(id)) return;
    const auto folder = open_results(project_root_);
    const bool exists = folder && stamp_at(folder.get(), id + ".json") != FileStamp{};
    if (!exists) return results_.contains(id) ? list_results() : void();
    look_at(folder.get(), id, results_[id]);
    if (results_.size() > max_ended_) results_.erase(results_.begin());
}

void EndedExecutions::look_at_metrics()
{
    if (metrics_.read_appended()) changed_ = true;
}

void EndedExecutions::look_at_metrics(const std::string& name)
{
    if (metrics_.has(name) ? metrics_.read_appended() : metrics_.refresh()) changed_ = true;
}

EndedExecutions::Entry EndedExecutions::read_result(const std::string& id) const
{
    std::string problem;
    const auto ended = queue_.result(id, problem);
    const auto result = ended ? protocol::read_result(ended->result) : std::nullopt;
    if (!result) return nullptr;
    auto entry = entry_of(*result, project_root_);
    entry.execution_id = id;
    entry.ended_at = ended->ended_at;
    return std::make_shared<const EndedExecutionEntry>(std::move(entry));
}

void EndedExecutions::merge(std::map<std::string, Merged>& all, const std::string& id,
                            const NewestMetrics::Metric& metric, const Entry& result)
{
    const auto before = merged_.find(id);
    if (before != merged_.end() && before->second.metric == metric &&
        before->second.result == result) {
        all.insert(merged_.extract(before));
        return;
    }
    Merged merged{metric, result, result};
    if (metric) {
        auto entry = result ? *result : entry_of(*metric, project_root_);
        entry.agent = metric->agent;
        entry.started_at = metric->started_at;
        entry.verified = metric->verified;
        if (!entry.ended_at) entry.ended_at = metric->completed_at;
        merged.entry = std::make_shared<const EndedExecutionEntry>(std::move(entry));
    }
    all.emplace(id, std::move(merged));
}

EntryList<EndedExecutionEntry> EndedExecutions::list(
    const std::function<bool(const std::string& id)>& is_current)
{
    std::map<std::string, Merged> all;
    for (const auto& [id, metric] : metrics_.all()) {
        const auto result = results_.find(id);
        merge(all, id, metric, result == results_.end() ? nullptr : result->second.entry);
    }
    for (const auto& [id, result] : results_)
        if (result.entry && !all.contains(id)) merge(all, id, nullptr, result.entry);
    merged_ = std::move(all);
    EntryList<EndedExecutionEntry> entries;
    for (const auto& [id, merged] : merged_)
        if (!is_current(id)) entries.push_back(merged.entry);
    std::sort(entries.begin(), entries.end(), ended_later);
    if (entries.size() > max_ended_) entries.resize(max_ended_);
    return entries;
}

}  // namespace autoexec::view
