#include "cli/subcommand.hpp"
#include "queue/engine_lock.hpp"
#include "queue/queue_folder.hpp"
#include "text/json.hpp"

#include <thread>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds stop_interval{50};

struct StopOptions : CommonOptions {
    bool drain = false;
    std::optional<milliseconds> timeout;
};

/// The engine of the queue that is to end.
class EndingEngine {
public:
    EndingEngine(std::filesystem::path root, protocol::QueueEngineFile engine)
        : root_(std::move(root)), engine_(std::move(engine))
    {}

    /// Asks it until it has ended, since an engine that has just begun withdraws earlier requests.
    /// False after the time-out.
    [[nodiscard]] bool end(const StopOptions& options) const
    {
        const auto begin = std::chrono::steady_clock::now();
        while (is_alive()) {
            if (const auto ec =
                    options.drain ? queue::request_drain(root_) : queue::request_stop(root_))
                fail(exit_internal, "cannot write the request: {}", ec.message());
            if (options.timeout && std::chrono::steady_clock::now() - begin >= *options.timeout)
                return false;
            std::this_thread::sleep_for(stop_interval);
        }
        return true;
    }

private:
    // The lock shows it, not the process id, which another process may have by now.
    [[nodiscard]] bool is_alive() const
    {
        const auto probe = queue::probe_engine(root_);
        return probe.alive && (!probe.engine || (probe.engine->pid == engine_.pid &&
                                                 probe.engine->started_at == engine_.started_at));
    }

    std::filesystem::path root_;
    protocol::QueueEngineFile engine_;
};

std::string words_for_waiting(std::size_t count)
{
    if (count == 0) return {};
    return fmt::format("; {}: autoexec wait --all, or autoexec queue run, continues",
                       text::counted(count, "command waits", "commands wait"));
}

int report_end(const StopOptions& options, const std::filesystem::path& root,
               const protocol::QueueEngineFile& engine)
{
    const auto waiting = queue::QueueFolder(root).list_waiting().size();
    if (options.json)
        print_json({{"state", "ended"}, {"pid", engine.pid}, {"queued", waiting}});
    else
        print_result("The engine of the queue (process {}) has ended{}\n", engine.pid,
                     words_for_waiting(waiting));
    return exit_completed;
}

int stop(const StopOptions& options)
{
    const auto root = project_root(options);
    const auto probe = queue::probe_engine(root);
    if (!probe.alive) {
        if (options.json) print_json({{"state", "none"}});
        print_message("No engine runs.\n");
        return exit_completed;
    }
    if (!probe.engine) fail(exit_internal, "the engine of the queue does not describe itself");
    if (EndingEngine(root, *probe.engine).end(options))
        return report_end(options, root, *probe.engine);
    print_message("The engine of the queue (process {}) has not ended within {}\n",
                  probe.engine->pid, text::format_duration(*options.timeout));
    return exit_timeout;
}

constexpr char stop_footer[] = R"(
Commands that wait stay queued. The engine is that of 'autoexec run --detach' and 'autoexec queue run';
commands of other terminals continue.

Exit codes: 0 it has ended, or there was none; 124 it has not ended within the timeout.
)";

void define_stop(CLI::App& app, StopOptions& o)
{
    app.footer(stop_footer);
    add_common(app, o);
    app.add_flag("--drain", o.drain, "Let the running commands end; without, they are cancelled");
    add_duration(app, "--timeout", o.timeout, "Wait at most this long (exit code 124)");
}

}  // namespace

extern const Subcommand stop_subcommand =
    subcommand("stop", "End the engine of the queue", define_stop, stop);

}  // namespace autoexec::cli
