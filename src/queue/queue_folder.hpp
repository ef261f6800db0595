#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"
#include "files/safe_files.hpp"
#include "protocol/queue_file.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The queue of detached commands of a project, as files. A request is `queue/<id>.json`; the
/// engine that starts it renames it to `queue/started/<id>.json`; its result is
/// `queue/ended/<id>.json`. No function waits.
namespace autoexec::queue {

using Request = std::shared_ptr<const protocol::QueuedRequest>;

/// A file in the place of a request that is none, or that others can write. It is left alone.
struct BrokenFile {
    std::string path;  ///< Relative to the project's root.
    std::string problem;
};

enum class RequestState { absent, waiting, started, ended };

/// The ids of the requests, or of the results, in an open folder.
std::vector<std::string> list_requests(int folder);

/// Each function opens the folder, so that a user may remove it. Thread safety: none.
class QueueFolder {
public:
    explicit QueueFolder(std::filesystem::path project_root);

    /// Adds a request, as durably as is asked. `errc::command_too_large`: no reader would accept
    /// it.
    error_code submit(const protocol::QueuedRequest& request, Durability durability) const;

    /// Those that wait, in the order in which they start: by priority, then by age. Only files that
    /// have changed since the last call are read.
    std::vector<Request> list_waiting();
    /// Those of them that an engine may start: they belong to no run in the foreground that lives.
    std::vector<Request> list_startable();
    /// Whether a run in the foreground starts the request, and lives.
    [[nodiscard]] bool has_owner(const protocol::QueuedRequest& request) const;
    /// Those that an engine has started, oldest first. Some may have a result already.
    std::vector<Request> list_started();
    /// What the last calls of these have skipped.
    [[nodiscard]] std::vector<BrokenFile> broken() const;

    /// One of those; `folder` is `layout::queue` or `layout::started_requests`. Null: it is not
    /// there, or broken.
    [[nodiscard]] Request read(const char* folder, const std::string& id) const;

    /// The ids of what may be waiting requests, oldest first. No file is read.
    [[nodiscard]] std::vector<std::string> list_waiting_ids() const;

    /// The names of all results, oldest first.
    [[nodiscard]] std::vector<std::string> list_ended() const;

    /// If a request moves meanwhile, its later state.
    [[nodiscard]] RequestState state_of(const std::string& id) const;

    /// Makes a waiting request a started one. False: another process was faster.
    [[nodiscard]] bool start(const std::string& id) const;

    /// Makes a started request, of which nothing was published, a waiting one again.
    void put_back(const std::string& id) const;

    /// Replaces a started request, for example with the worktree that was created for it.
    error_code update_started(const protocol::QueuedRequest& request) const;

    /// Ends a waiting request as cancelled. False: it no longer waits.
    [[nodiscard]] bool cancel_waiting(const std::string& id) const;

    /// Ends a waiting request with this result. A kill may leave it cancelled instead. False: it no
    /// longer waits.
    [[nodiscard]] bool end_waiting(const protocol::QueuedResult& result) const;

    /// Removes a started request that has a running record of its own. True: it is to be cancelled.
    [[nodiscard]] bool leave_started(const std::string& id) const;

    /// Asks the engine to cancel a request that it has started.
    error_code request_cancel(const std::string& id) const;
    /// The ids of such requests, which are removed.
    [[nodiscard]] std::vector<std::string> consume_cancel_requests() const;

    /// Whether another process has recovered an attempt of a started request, after the death of
    /// its engine: see `records::note_interrupted`.
    [[nodiscard]] bool is_interrupted(const std::string& id) const;

    /// Writes or replaces a result.
    error_code put_result(const protocol::QueuedResult& result) const;
    /// Removes a started request, and what belongs to it, after its result was written.
    void remove_started(const std::string& id) const;

    /// Nullopt if there is none, or, with a problem, if it cannot be read.
    [[nodiscard]] std::optional<protocol::QueuedResult> result(const std::string& id,
                                                               std::string& problem) const;

    /// Keeps a request that a run in the foreground starts, so that it can be repeated; unless it
    /// contains a secret.
    error_code keep(const protocol::QueuedRequest& request) const;
    /// Null: none was kept, or it is broken.
    [[nodiscard]] Request kept(const std::string& id) const;
    /// Removes requests that were kept before `max_age_of_results`.
    void sweep_kept() const;

    /// Removes what killed processes have left, and results older than `max_age_of_results`. Only
    /// for the engine.
    void sweep() const;

private:
    struct Seen {
        FileStamp stamp;
        Request request;      ///< Null: broken.
        std::string problem;  ///< Empty: it was removed meanwhile.
    };
    using SeenFiles = std::map<std::string, Seen, std::less<>>;

    std::vector<Request> list(const char* folder, SeenFiles& seen) const;
    Seen read_request(int folder, const std::string& path, const std::string& name,
                      const struct stat& st) const;
    void finish_cancellation(const std::string& id) const;

    std::filesystem::path project_root_;
    SeenFiles waiting_;
    SeenFiles started_;
};

/// Results that are older are removed: `autoexec history` still has their executions.
inline constexpr std::chrono::hours max_age_of_results{24 * 30};

/// Keeps the request with its result, so that it can be repeated; unless it contains a secret,
/// which must not stay in the project for as long.
void keep_request(protocol::QueuedResult& result, const protocol::QueuedRequest& request);

/// The result of a request that was cancelled before it was published.
ExecutionResult cancelled_execution(const protocol::QueuedRequest& request);

/// The result of a request that an engine refuses, or cannot start: a failure with this error.
ExecutionResult failed_result(const protocol::QueuedRequest& request, CommandError error);

}  // namespace autoexec::queue
