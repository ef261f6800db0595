#include "autoexec/audit.hpp"
#include "platform/safe_files.hpp"
#include "protocol/text.hpp"
#include "records/running.hpp"
#include "runner/cli.hpp"
#include "runner/project.hpp"

#include <boost/asio/io_context.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <thread>

namespace autoexec::runner {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct Attempt {
    std::string execution_id;
    std::string attempt_id;
    bool alive = false;
};

std::string text_of(const boost::json::object& o, const char* key)
{
    const auto* const v = o.if_contains(key);
    return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
}

void add(std::vector<Attempt>& attempts, Attempt attempt)
{
    const bool known = std::any_of(attempts.begin(), attempts.end(), [&](const auto& a) {
        return a.attempt_id == attempt.attempt_id;
    });
    if (!known && !attempt.attempt_id.empty()) attempts.push_back(std::move(attempt));
}

// What runs now, then what the audit trail remembers; oldest first.
std::vector<Attempt> find_attempts(const fs::path& root, const std::string& wanted)
{
    std::vector<Attempt> attempts;
    for (const auto& entry : records::list_running(root)) {
        if (is_called(entry.record.execution_id, wanted) ||
            is_called(entry.record.attempt_id, wanted))
            add(attempts, {entry.record.execution_id, entry.record.attempt_id, entry.alive});
    }
    asio::io_context ctx;
    AuditOptions where;
    where.project_root = root;
    const AuditLogger audit(ctx.get_executor(), std::move(where));
    AuditFilter filter;
    filter.event_type = "execution_started";
    filter.limit = 0;
    for (const auto& event : audit.query_events(filter)) {
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

// Copies what is there now. False when nobody reads us any more.
bool copy_rest(int from)
{
    std::array<char, 65536> buffer;
    for (;;) {
        const auto n = ::read(from, buffer.data(), buffer.size());
        if (n <= 0) return true;
        if (platform::write_all(STDOUT_FILENO, {buffer.data(), static_cast<std::size_t>(n)}))
            return false;
    }
}

// False when there is no such file (any more).
bool show(const fs::path& root, const Attempt& attempt, bool follow)
{
    const auto path =
        root / ".tapps-agents" / "output" / (protocol::file_name_of(attempt.attempt_id) + ".log");
    const auto open = [&] {
        return platform::UniqueFd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    };
    auto file = open();
    while (!file && follow && is_alive(root, attempt.attempt_id)) {
        std::this_thread::sleep_for(100ms);
        file = open();
    }
    if (!file) return false;
    bool alive = true;
    while (copy_rest(file.get()) && follow && alive) {
        alive = is_alive(root, attempt.attempt_id);  // before the last look
        if (alive) std::this_thread::sleep_for(200ms);
    }
    return true;
}

}  // namespace

int logs(const LogsOptions& options)
{
    const auto root = project_root(options.common);
    const auto attempts = find_attempts(root, options.execution);
    const bool several = std::any_of(attempts.begin(), attempts.end(), [&](const auto& a) {
        return a.execution_id != attempts.front().execution_id;
    });
    if (attempts.empty() || several) {
        fmt::print(stderr, "autoexec logs: {} '{}'; see autoexec status and autoexec history\n",
                   several ? "there are several executions" : "there is no execution",
                   protocol::printable(options.execution));
        return exit_usage;
    }
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        if (attempts.size() > 1) {
            fmt::print(stderr, "--- attempt {} ---\n", i + 1);
            std::fflush(stderr);
        }
        if (!show(root, attempts[i], options.follow))
            fmt::print(stderr, "No output was kept: {}\n",
                       options.follow ? "the command was not started" : "it may run elsewhere");
    }
    return exit_completed;
}

}  // namespace autoexec::runner
