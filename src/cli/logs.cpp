#include "cli/session/attempt_output.hpp"
#include "cli/session/audit_display.hpp"
#include "cli/subcommand.hpp"
#include "records/queries.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <thread>

namespace autoexec::cli {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct LogsOptions : CommonOptions {
    std::string execution;
    bool follow = false;
    bool raw = false;
};

struct Attempt {
    std::string execution_id;
    std::string attempt_id;
    bool alive = false;
};

void add(std::vector<Attempt>& attempts, Attempt attempt)
{
    const bool known = std::any_of(attempts.begin(), attempts.end(), [&](const auto& a) {
        return a.attempt_id == attempt.attempt_id;
    });
    if (!known && !attempt.attempt_id.empty()) attempts.push_back(std::move(attempt));
}

// Running attempts, then those in the audit log; oldest first.
std::vector<Attempt> find_attempts(const fs::path& root, const std::string& wanted)
{
    std::vector<Attempt> attempts;
    for (const auto& entry : records::list_running(root)) {
        if (is_called(entry.record.execution_id, wanted) ||
            is_called(entry.record.attempt_id, wanted))
            add(attempts, {entry.record.execution_id, entry.record.attempt_id, entry.alive});
    }
    AuditFilter filter;
    filter.event_type = "execution_started";
    filter.limit = 0;
    for (const auto& event :
         records::read_audit(records::Folder::of({}, root, "audit"), filter).events) {
        Attempt attempt{text_of(event, "execution_id"), text_of(event, "attempt_id"), false};
        if (is_called(attempt.execution_id, wanted) || is_called(attempt.attempt_id, wanted))
            add(attempts, std::move(attempt));
    }
    std::sort(attempts.begin(), attempts.end(),
              [](const auto& a, const auto& b) { return a.attempt_id < b.attempt_id; });
    return attempts;
}

bool is_alive(const fs::path& root, const std::string& attempt_id)
{
    for (const auto& entry : records::list_running(root))
        if (entry.record.attempt_id == attempt_id) return entry.alive;
    return false;
}

// False if there is no such file.
bool show(const fs::path& root, const Attempt& attempt, const LogsOptions& options)
{
    AttemptOutput output(root, attempt.attempt_id, options.raw);
    while (!output.open() && options.follow && is_alive(root, attempt.attempt_id))
        std::this_thread::sleep_for(100ms);
    if (!output.open()) return false;
    bool alive = true;
    while (output.copy_new() && options.follow && alive) {
        alive = is_alive(root, attempt.attempt_id);  // asked before the last copy
        if (alive) std::this_thread::sleep_for(200ms);
    }
    output.finish();
    return true;
}

int logs(const LogsOptions& options)
{
    const auto root = project_root(options);
    const auto attempts = find_attempts(root, options.execution);
    const bool several = std::any_of(attempts.begin(), attempts.end(), [&](const auto& a) {
        return a.execution_id != attempts.front().execution_id;
    });
    if (attempts.empty() || several)
        fail(exit_usage, "{}; see autoexec status and autoexec history",
             unmatched(options.execution, several));
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        if (attempts.size() > 1) {
            print_message("--- attempt {} ---\n", i + 1);
        }
        if (!show(root, attempts[i], options))
            print_message("No output was recorded: {}\n", options.follow
                                                              ? "the command was not started"
                                                              : "the command may run elsewhere");
    }
    return exit_completed;
}

void define_logs(CLI::App& app, LogsOptions& o)
{
    add_common(app, o);
    add_execution(app, o.execution);
    app.add_flag("-f,--follow", o.follow, "Continue printing until the execution has ended");
    app.add_flag("--raw", o.raw, "Pass control characters and escape sequences to the terminal");
}

}  // namespace

extern const Subcommand logs_subcommand =
    subcommand("logs", "Print the output of a command", define_logs, logs);

}  // namespace autoexec::cli
