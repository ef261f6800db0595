#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/workflow/runs.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>

#include <chrono>
#include <cstdio>
#include <thread>

namespace autoexec::cli {
namespace {

using namespace std::chrono_literals;
using workflow::RunRecord;

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

}  // namespace

int workflow_cancel(const WorkflowCancelOptions& options)
{
    const auto root = project_root(options.common);
    std::string problem;
    auto run = find_alive(root, options.run, problem);
    if (!run) {
        print_text(stderr, "autoexec workflow cancel: {}\n", text::printable(problem));
        return exit_usage;
    }
    const auto id = run->run_id;
    if (const auto ec = workflow::ask_to_cancel_run(root, id)) {
        print_text(stderr, "autoexec workflow cancel: cannot write the request: {}\n",
                   ec.message());
        return exit_engine;
    }
    if (options.no_wait) return exit_completed;
    const auto until = std::chrono::steady_clock::now() + run_cancel_timeout;
    while (run && run->alive) {
        if (std::chrono::steady_clock::now() > until) {
            print_text(
                stderr,
                "autoexec workflow cancel: requested, but the run has not ended within {} s\n",
                run_cancel_timeout.count());
            return exit_engine;
        }
        std::this_thread::sleep_for(100ms);
        run = workflow::read_run(root, id, problem);
    }
    (void)workflow::take_run_cancel(root, id);  // it may have ended before it saw it
    if (options.common.json) {
        boost::json::object o;
        o["run_id"] = id;
        o["state"] = run ? state_of(*run) : "gone";
        print_json(o);
    } else {
        print_text(stdout, "{} has ended\n", text::printable(id));
    }
    return exit_completed;
}

}  // namespace autoexec::cli
