#include "autoexec/version.hpp"
#include "cli/queue/queue_engine.hpp"
#include "cli/records/record_removal.hpp"
#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "handoff/claims.hpp"
#include "queue/detached.hpp"
#include "queue/engine_lock.hpp"
#include "records/debug_log.hpp"

#include <unistd.h>

#include <thread>

namespace autoexec::cli {
namespace {

constexpr std::chrono::milliseconds lock_interval{200};

constexpr char queue_run_examples[] = R"(
'autoexec run --detach' starts such an engine itself. It ends when no command waits or runs.

Exit codes: 0 nothing is left to do, or another engine runs, 3 invalid project file, 4 internal or
system error, 130 ended by a signal: what ran was cancelled, what waits is kept.
)";

std::vector<std::string> names_of_variables()
{
    std::vector<std::string> names;
    for (char** entry = ::environ; *entry != nullptr; ++entry) {
        const std::string_view variable = *entry;
        names.emplace_back(variable.substr(0, variable.find('=')));
    }
    return names;
}

protocol::QueueEngineFile describe_this_engine(const std::filesystem::path& root)
{
    protocol::QueueEngineFile engine;
    engine.pid = ::getpid();
    engine.host = handoff::host_name();
    engine.version = AUTOEXEC_VERSION;
    engine.started_at = std::chrono::system_clock::now();
    engine.variables = names_of_variables();
    engine.log = queue::log_of_this_process(root);
    return engine;
}

void report_other_engine(const std::filesystem::path& root)
{
    const auto other = queue::probe_engine(root).engine.value_or(protocol::QueueEngineFile{});
    print_message("The engine of this queue runs already: process {} on {}, since {}{}{}\n",
                  other.pid, text::printable(other.host), text::shown_time(other.started_at),
                  other.log.empty() ? "" : "; its output: ", text::printable(other.log));
}

/// Nullopt if another process is the engine, and this one does not wait for its end.
std::optional<queue::EngineLock> elect(const std::filesystem::path& root, bool keep)
{
    for (bool has_reported = false;; std::this_thread::sleep_for(lock_interval)) {
        error_code ec;
        auto lock = queue::EngineLock::acquire(root, describe_this_engine(root), ec);
        if (lock) return lock;
        if (ec) fail(exit_internal, "cannot lock the queue: {}", ec.message());
        if (!std::exchange(has_reported, true)) report_other_engine(root);
        if (!keep && !queue::is_draining(root)) return std::nullopt;
    }
}

int run_queue(const QueueEngineOptions& asked)
{
    auto options = asked;
    options.session.wait_for_worktree = true;  // no person watches it
    const auto root = project_root(options);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, options.session.quiet);
    records::set_debug_log(root, config.debug);
    const Agents agents(root, false, true);
    agents.require_usable(options.session.quiet);
    queue::QueueFolder folder(root);
    for (;;) {
        auto lock = elect(root, options.keep);
        if (!lock) return exit_completed;
        queue::end_drain(root);
        remove_records_before_run(root, config.records, options.session.quiet);
        folder.sweep();
        queue::sweep_engine_logs(root);
        const int code = QueueEngine(options, manager, agents, folder).run();
        lock.reset();
        // What was submitted while this process held the lock has no other engine.
        if (code != exit_completed || queue::is_draining(root) || folder.list_startable().empty())
            return code;
    }
}

void define_queue_run(CLI::App& app, QueueEngineOptions& o)
{
    app.footer(queue_run_examples);
    add_common(app, o);
    add_max_parallel(app, o.session);
    app.add_flag("--keep", o.keep,
                 "Do not end while no command waits; wait for the end of another engine");
    app.add_flag("-q,--quiet", o.session.quiet, "Print results only, no progress");
}

}  // namespace

extern const Subcommand queue_run_subcommand =
    subcommand("queue run", "Run the commands that wait in the queue", define_queue_run, run_queue);

}  // namespace autoexec::cli
