#include "cli/queue/engine_start.hpp"

#include "autoexec/version.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "queue/detached.hpp"
#include "queue/engine_lock.hpp"
#include "queue/queue_folder.hpp"
#include "text/text.hpp"

#include <sys/wait.h>

#include <chrono>
#include <string>
#include <thread>

namespace autoexec::cli {
namespace {

constexpr std::chrono::milliseconds start_interval{20};
constexpr int max_start_looks = 250;

// An engine of an older program does not know what a newer one submits.
bool has_engine(const std::filesystem::path& root)
{
    const auto probe = queue::probe_engine(root);
    if (!probe.alive || queue::is_draining(root)) return false;
    if (!probe.engine || !queue::is_older_version(probe.engine->version, AUTOEXEC_VERSION))
        return true;
    if (const auto ec = queue::request_drain(root))
        fail(exit_internal, "cannot ask the older engine to drain: {}", ec.message());
    return false;
}

bool has_failed(pid_t pid)
{
    int status = 0;
    return ::waitpid(pid, &status, WNOHANG) == pid &&
           !(WIFEXITED(status) && WEXITSTATUS(status) == exit_completed);
}

}  // namespace

void ensure_queue_engine(const std::filesystem::path& root)
{
    if (has_engine(root)) return;
    error_code ec;
    const auto engine = queue::start_detached(root, root, text::new_uuid(),
                                              {"queue", "run", "--project", root.string()}, ec);
    if (ec) fail(exit_internal, "cannot start the engine of the queue: {}", ec.message());
    // It may have ended already, with the queue, or wait for an older engine.
    queue::QueueFolder folder(root);
    const auto some_wait = [&folder] { return !folder.list_startable().empty(); };
    for (int i = 0; i < max_start_looks; ++i) {
        const bool alive = queue::probe_engine(root).alive;
        if (has_failed(engine.pid) && !queue::probe_engine(root).alive && some_wait()) {
            std::string problem;
            print_message(text::printable(read_text(engine.log, problem).value_or(problem), true));
            fail(exit_internal,
                 "the engine of the queue has ended; the commands wait. Its output: {}",
                 engine.log.string());
        }
        if (alive || !some_wait()) return;
        std::this_thread::sleep_for(start_interval);
    }
}

}  // namespace autoexec::cli
