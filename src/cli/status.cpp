#include "autoexec/executor.hpp"
#include "autoexec/redaction.hpp"
#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/agent_presence.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace autoexec::cli {
namespace {

struct Seen {
    std::string state;
    std::string message;
    double percentage = 0;
};

// Only the agent of this attempt knows how it stands.
Seen look(const BackgroundAgentAutoExecutor& executor, const records::RunningEntry& entry)
{
    Seen seen;
    seen.state = entry.alive ? "waiting" : "interrupted";
    const auto check = executor.check_status(entry.record.worktree);
    if (!entry.alive || !check.status || check.status->attempt_id != entry.record.attempt_id)
        return seen;
    seen.state = std::string(to_string(check.status->status));
    if (check.status->progress) {
        seen.message = Redactor().redact(check.status->progress->message);
        seen.percentage = check.status->progress->percentage;
    }
    return seen;
}

std::chrono::milliseconds age_of(const records::RunningRecord& record)
{
    const auto start = text::parse_iso(record.started_at);
    if (!start) return {};
    return std::max(std::chrono::milliseconds{0},
                    std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now() - *start));
}

boost::json::object to_json(const records::RunningEntry& entry, const Seen& seen)
{
    const auto& r = entry.record;
    const auto or_null = [](const std::optional<std::string>& text) {
        return text ? boost::json::value(*text) : boost::json::value(nullptr);
    };
    boost::json::object o;
    o["execution_id"] = r.execution_id;
    o["attempt_id"] = r.attempt_id;
    o["attempt"] = r.attempt;
    o["state"] = seen.state;
    o["workflow_id"] = or_null(r.workflow_id);
    o["step_id"] = or_null(r.step_id);
    o["command"] = r.command;
    o["worktree"] = r.worktree;
    o["started_at"] = r.started_at;
    o["age_seconds"] = std::chrono::duration<double>(age_of(r)).count();
    o["percentage"] = seen.percentage;
    o["message"] = seen.message;
    o["pid"] = r.pid;
    return o;
}

void print_agents(const std::filesystem::path& root)
{
    bool any = false;
    for (const auto& [record, alive] : records::list_agents(root)) {
        if (!alive) continue;
        any = true;
        tell(stderr, "Agent running: {}, since {}\n", records::describe(record),
             text::printable(record.started_at));
    }
    if (!any)
        tell(stderr,
             "No agent process is running (start one with 'autoexec agent'; autoexec run "
             "uses its own).\n");
}

}  // namespace

int status(const StatusOptions& options)
{
    const auto root = project_root(options.common);
    asio::io_context ctx;
    ExecutorOptions plain;
    plain.project_root = root;
    plain.enable_audit = plain.enable_metrics = false;
    const BackgroundAgentAutoExecutor executor(ctx.get_executor(), std::move(plain));

    error_code problem;
    const auto entries = records::list_running(root, problem);
    if (problem) {
        tell(stderr, "autoexec status: {}\n", records::unreadable_sentence(root, problem));
        return exit_engine;
    }
    if (entries.empty() && !options.common.json)
        print_text(stderr, "No commands are running or queued.\n");
    for (const auto& entry : entries) {
        const auto seen = look(executor, entry);
        if (options.common.json) {
            print_json(to_json(entry, seen));
            continue;
        }
        print_text(stdout, "{:11} {} {:>7} #{:<2} {}  {}  {}\n", seen.state,
                   short_id(entry.record.execution_id), text::format_duration(age_of(entry.record)),
                   entry.record.attempt, shown_path(entry.record.worktree),
                   text::printable(entry.record.command), text::printable(seen.message));
    }
    if (!options.common.json) print_agents(root);
    return exit_completed;
}

}  // namespace autoexec::cli
