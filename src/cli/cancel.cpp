#include "cli/cli.hpp"
#include "cli/flags.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <boost/json/object.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <thread>

namespace autoexec::cli {
namespace {

using namespace std::chrono_literals;

struct CancelOptions {
    CommonOptions common;
    std::string execution;
    bool no_wait = false;
};

constexpr auto cancel_timeout = 30s;

bool still_there(const std::filesystem::path& root, const std::string& attempt_id)
{
    const auto entries = records::list_running(root);
    return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
        return entry.alive && entry.record.attempt_id == attempt_id;
    });
}

int cancel(const CancelOptions& options)
{
    const auto root = project_root(options.common);
    error_code problem;
    auto entries = records::list_running(root, problem);
    if (problem) {
        print_error("cancel", "{}", records::unreadable_sentence(root, problem));
        return exit_internal;
    }
    std::erase_if(entries, [&](const auto& entry) {
        return !entry.alive || (!is_called(entry.record.execution_id, options.execution) &&
                                !is_called(entry.record.attempt_id, options.execution));
    });
    if (entries.size() != 1) {
        print_error("cancel", "{} '{}'; see autoexec status",
                    entries.empty() ? "no execution matches" : "several executions match",
                    text::printable(options.execution));
        return exit_usage;
    }
    const auto& record = entries.front().record;
    if (const auto ec = records::request_cancel(root, record.attempt_id)) {
        print_error("cancel", " cannot write the request: {}", ec.message());
        return exit_internal;
    }
    if (options.no_wait) return exit_completed;
    const auto until = std::chrono::steady_clock::now() + cancel_timeout;
    while (still_there(root, record.attempt_id)) {
        if (std::chrono::steady_clock::now() > until) {
            print_error("cancel", "requested, but the execution has not ended within {} s",
                        cancel_timeout.count());
            return exit_internal;
        }
        std::this_thread::sleep_for(100ms);
    }
    if (options.common.json) {
        boost::json::object o;
        o["execution_id"] = record.execution_id;
        o["status"] = "ended";
        print_json(o);
    } else {
        print_result("{} has ended\n", short_id(record.execution_id));
    }
    return exit_completed;
}

SubcommandBody define_cancel(CLI::App& app)
{
    const auto o = std::make_shared<CancelOptions>();
    add_common(app, o->common);
    app.add_option("execution", o->execution,
                   "The execution's id or the end of it, as autoexec status shows it")
        ->required()
        ->type_name("ID");
    app.add_flag("--no-wait", o->no_wait, "Do not wait until the execution has ended");
    return {[o] { return cancel(*o); }};
}

}  // namespace

extern const Subcommand cancel_subcommand{"cancel", "Cancel a running or queued command",
                                          define_cancel};

}  // namespace autoexec::cli
