#include "cli/session/questions.hpp"
#include "cli/subcommand.hpp"
#include "records/running.hpp"

namespace autoexec::cli {
namespace {

struct CancelOptions : CommonOptions {
    std::string execution;
    bool no_wait = false;
};

int cancel(const CancelOptions& options)
{
    const auto root = project_root(options);
    const auto record = find_running(root, options.execution);
    if (const auto ec = records::request_cancel(root, record.attempt_id))
        fail(exit_internal, "cannot write the request: {}", ec.message());
    if (options.no_wait) return exit_completed;
    wait_for_end("execution", [&] { return !find_attempt(root, record.attempt_id); });
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
    add_execution(app, o.execution);
    app.add_flag("--no-wait", o.no_wait, "Do not wait until the execution has ended");
}

}  // namespace

extern const Subcommand cancel_subcommand =
    subcommand("cancel", "Cancel a running or queued command", define_cancel, cancel);

}  // namespace autoexec::cli
