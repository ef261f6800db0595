#pragma once

#include "autoexec/command.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// Text ↔ struct for the files of the queue of detached commands. Pure.
namespace autoexec::protocol {

inline constexpr std::size_t queue_file_limit = 4 * 1024 * 1024;

/// `queue/started/<id>.interrupted` exists: see `records::note_interrupted`.
inline constexpr char interrupted_suffix[] = ".interrupted";

/// True for a UUID in lower case: the only ids that name files of the queue.
bool is_queue_id(std::string_view text);

/// The worktree that is created before a command starts.
struct QueuedTree {
    std::string name;
    std::string commit;
    bool creating = false;  ///< An engine has begun: what exists by that name is its own.

    bool operator==(const QueuedTree&) const = default;
};

/// `queue/<id>.json`, as it is run: not redacted. It has a constructor: see `CommandRequest`.
struct QueuedRequest {
    explicit QueuedRequest(CommandRequest r) : request(std::move(r)) {}

    [[nodiscard]] const std::string& id() const noexcept { return request.execution_id; }

    CommandRequest request;  ///< With an absolute worktree, unless there is a `new_worktree`.
    std::optional<QueuedTree> new_worktree;
    /// The name of the new worktree that was created for it, and in which it works: what it leaves
    /// there is committed. Empty: none.
    std::string created_worktree;
    std::optional<std::chrono::system_clock::time_point> submitted_at;
    std::string directory;  ///< Where it was submitted.
    std::string rerun_of;   ///< The execution whose command it repeats; empty: none.
    /// The run in the foreground that starts it, if that lives. Empty: an engine starts it.
    std::string owner;
};

/// The content of the file.
boost::json::object json_of_request(const QueuedRequest& queued);
std::string format_queued(const QueuedRequest& queued);

/// Everything that decides what runs must be exact. `problem` is set to one sentence if it is not,
/// or if the version is unknown.
std::optional<QueuedRequest> parse_queued(std::string_view text, std::string& problem);

/// `queue/ended/<id>.json`
struct QueuedResult {
    std::string id;
    /// Absent: it was cancelled while it waited, by a process that was killed.
    std::optional<std::chrono::system_clock::time_point> ended_at;
    bool internal_error = false;  ///< `async_execute_command` had an error.
    /// When `autoexec wait` printed it; absent: not yet.
    std::optional<std::chrono::system_clock::time_point> reported_at;
    boost::json::object result;  ///< As `autoexec run --json` prints it.
    /// As `json_of_request`; empty: not kept.
    boost::json::object request;
};

/// The request in a result. `problem` as in `parse_queued`, also if it was not kept.
std::optional<QueuedRequest> request_in(const QueuedResult& result, std::string& problem);

std::string format_queued_result(const QueuedResult& result);

/// `problem` as in `parse_queued`.
std::optional<QueuedResult> parse_queued_result(std::string_view text, std::string& problem);

/// The content of `queue/engine.lock`, which the engine of the queue holds locked.
struct QueueEngineFile {
    std::int64_t pid = 0;
    std::string host;
    std::string version;
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::vector<std::string> variables;  ///< The names of its environment.
    std::string log;                     ///< The path of its output; empty: a terminal.
};

inline constexpr std::size_t queue_engine_limit = 256 * 1024;

std::string format_queue_engine(const QueueEngineFile& engine);

/// Nullopt if the text is not complete.
std::optional<QueueEngineFile> parse_queue_engine(std::string_view text);

}  // namespace autoexec::protocol
