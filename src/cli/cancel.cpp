#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <thread>

namespace autoexec::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto cancel_timeout = 30s;

bool still_there(const std::filesystem::path& root, const std::string& attempt_id)
{
    const auto entries = records::list_running(root);
    return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
        return entry.alive && entry.record.attempt_id == attempt_id;
    });
}

}  // namespace

int cancel(const CancelOptions& options)
{
    const auto root = project_root(options.common);
    error_code problem;
    auto entries = records::list_running(root, problem);
    if (problem) {
        print_text(stderr, "autoexec cancel: {}\n", records::unreadable_sentence(root, problem));
        return exit_engine;
    }
    std::erase_if(entries, [&](const auto& entry) {
        return !entry.alive || (!is_called(entry.record.execution_id, options.execution) &&
                                !is_called(entry.record.attempt_id, options.execution));
    });
    if (entries.size() != 1) {
        print_text(stderr, "autoexec cancel: {} '{}'; see autoexec status\n",
                   entries.empty() ? "no execution matches" : "several executions match",
                   text::printable(options.execution));
        return exit_usage;
    }
    const auto& record = entries.front().record;
    if (const auto ec = records::ask_to_cancel(root, record.attempt_id)) {
        print_text(stderr, "autoexec cancel: cannot write the request: {}\n", ec.message());
        return exit_engine;
    }
    if (options.no_wait) return exit_completed;
    const auto until = std::chrono::steady_clock::now() + cancel_timeout;
    while (still_there(root, record.attempt_id)) {
        if (std::chrono::steady_clock::now() > until) {
            print_text(stderr,
                       "autoexec cancel: requested, but the execution has not ended within {} s\n",
                       cancel_timeout.count());
            return exit_engine;
        }
        std::this_thread::sleep_for(100ms);
    }
    if (options.common.json) {
        boost::json::object o;
        o["execution_id"] = record.execution_id;
        o["status"] = "ended";
        print_json(o);
    } else {
        print_text(stdout, "{} has ended\n", short_id(record.execution_id));
    }
    return exit_completed;
}

}  // namespace autoexec::cli
