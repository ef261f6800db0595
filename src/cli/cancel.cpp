#include "cli/subcommand.hpp"
#include "records/running.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

struct CancelOptions : CommonOptions {
    std::string execution;
    bool no_wait = false;
};

bool still_there(const std::filesystem::path& root, const std::string& attempt_id)
{
    const auto entries = records::list_running(root);
    return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
        return entry.alive && entry.record.attempt_id == attempt_id;
    });
}

int cancel(const CancelOptions& options)
{
    const auto root = project_root(options);
    error_code problem;
    auto entries = records::list_running(root, &problem);
    if (problem) fail(exit_internal, "{}", records::unreadable_sentence(root, problem));
    std::erase_if(entries, [&](const auto& entry) {
        return !entry.alive || (!is_called(entry.record.execution_id, options.execution) &&
                                !is_called(entry.record.attempt_id, options.execution));
    });
    if (entries.size() != 1)
        fail(exit_usage, "{} '{}'; see autoexec status",
             entries.empty() ? "no execution matches" : "several executions match",
             options.execution);
    const auto& record = entries.front().record;
    if (const auto ec = records::request_cancel(root, record.attempt_id))
        fail(exit_internal, "cannot write the request: {}", ec.message());
    if (options.no_wait) return exit_completed;
    wait_for_end("execution", [&] { return !still_there(root, record.attempt_id); });
    if (options.json) {
        print_json({{"execution_id", record.execution_id}, {"status", "ended"}});
    } else {
        print_result("{} has ended\n", short_id(record.execution_id));
    }
    return exit_completed;
}

void define_cancel(CLI::App& app, CancelOptions& o)
{
    add_common(app, o);
    app.add_option("execution", o.execution,
                   "The execution's id or the end of it, as autoexec status shows it")
        ->required()
        ->type_name("ID");
    app.add_flag("--no-wait", o.no_wait, "Do not wait until the execution has ended");
}

}  // namespace

extern const Subcommand cancel_subcommand =
    subcommand("cancel", "Cancel a running or queued command", define_cancel, cancel);

}  // namespace autoexec::cli
