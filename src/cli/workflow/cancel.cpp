#include "cli/cli.hpp"
#include "cli/flags.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/workflow_flags.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <memory>
#include <thread>

namespace autoexec::cli {
namespace {

using namespace std::chrono_literals;
using workflow::RunRecord;

struct WorkflowCancelOptions {
    CommonOptions common;
    std::string run;  ///< Empty: the newest that is alive.
    bool no_wait = false;
};

constexpr auto run_cancel_timeout = 30s;

std::optional<RunRecord> find_alive(const std::filesystem::path& root, const std::string& wanted,
                                    std::string& problem)
{
    const auto is_alive = [](const RunRecord& run) { return run.alive; };
    auto run = wanted.empty() ? newest_run(root, is_alive) : find_run(root, wanted, problem);
    if (run && run->alive) return run;
    if (wanted.empty())
        problem = "no workflow is running";
    else if (run)
        problem = fmt::format("{} is not running: {}", run->run_id, state_of(*run));
    return std::nullopt;
}

int cancel_run(const WorkflowCancelOptions& options)
{
    const auto root = project_root(options.common);
    std::string problem;
    auto run = find_alive(root, options.run, problem);
    if (!run) {
        print_error("workflow cancel", "{}", problem);
        return exit_usage;
    }
    const auto id = run->run_id;
    if (const auto ec = workflow::ask_to_cancel_run(root, id)) {
        print_error("workflow cancel", "cannot write the request: {}", ec.message());
        return exit_internal;
    }
    if (options.no_wait) return exit_completed;
    const auto until = std::chrono::steady_clock::now() + run_cancel_timeout;
    while (run && run->alive) {
        if (std::chrono::steady_clock::now() > until) {
            print_error("workflow cancel", "requested, but the run has not ended within {} s",
                        run_cancel_timeout.count());
            return exit_internal;
        }
        std::this_thread::sleep_for(100ms);
        run = workflow::read_run(root, id, problem);
    }
    (void)workflow::take_run_cancel(root, id);  // the run may have ended without reading it
    if (options.common.json) {
        boost::json::object o;
        o["run_id"] = id;
        o["state"] = run ? state_of(*run) : "gone";
        print_json(o);
    } else {
        print_result("{} has ended\n", text::printable(id));
    }
    return exit_completed;
}

SubcommandBody define_workflow_cancel(CLI::App& app)
{
    const auto o = std::make_shared<WorkflowCancelOptions>();
    add_common(app, o->common);
    add_run_id(app, "run", o->run,
               "The run's id, or its beginning or end (default: the newest active run)");
    app.add_flag("--no-wait", o->no_wait, "Do not wait until the run has ended");
    return {[o] { return cancel_run(*o); }};
}

}  // namespace

extern const Subcommand workflow_cancel_subcommand{"workflow cancel", "Cancel a run",
                                                   define_workflow_cancel};

}  // namespace autoexec::cli
