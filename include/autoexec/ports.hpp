#pragma once

#include "autoexec/command.hpp"
#include "autoexec/error.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The small interfaces through which the engine touches the world. Applications rarely need
/// them; tests and other transports implement them.
namespace autoexec {

namespace asio = boost::asio;

/// Monotonic time. All deadlines count in it.
using time_point = std::chrono::steady_clock::time_point;

/// One waiter's alarm. Single-threaded: everything on the executor it was made for.
class Timer {
public:
    virtual ~Timer() = default;

    /// Completes at `t`, at `wake()`, or when the coroutine is cancelled, whichever is first;
    /// at once if `wake()` was called since the last wait. Does not throw.
    virtual asio::awaitable<void> wait_until(time_point t) = 0;
    virtual void wake() = 0;
};

class Clock {
public:
    virtual ~Clock() = default;
    virtual time_point now() const noexcept = 0;
    virtual std::chrono::system_clock::time_point system_now() const noexcept = 0;
    virtual std::unique_ptr<Timer> make_timer(const asio::any_io_executor& ex) = 0;
};

/// The real clock: `steady_timer`s, rounded up to a grid of 1 ms.
std::shared_ptr<Clock> system_clock();

/// How safe a file is before its writer goes on.
enum class Durability {
    none,     ///< Records may wait in memory for up to one second.
    process,  ///< Written: survives kill -9.
    power,    ///< Synced to the disk: survives a power cut.
};

/// Which version of a file this is. Two looks with equal stamps saw the same content.
struct FileStamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    std::uint64_t size = 0;

    bool operator==(const FileStamp&) const = default;
};

/// A small file as found. `text` is set only for `present`.
struct FoundFile {
    enum class State {
        absent,
        present,
        unsafe,     ///< Not a regular file, a link, or another user's.
        too_large,  ///< `stamp.size` says how large.
        unreadable,
    };
    State state = State::absent;
    std::string text;
    FileStamp stamp;
    std::string problem;  ///< For a person; empty for `absent` and `present`.
    error_code reason;    ///< Of `unreadable`: what the system said.
};

/// What a claim says about the agent that took an attempt.
enum class ClaimState {
    none,    ///< Nobody has claimed the attempt.
    live,    ///< Its agent holds the lock, or the lock can't be asked.
    free,    ///< Its agent is gone.
    remote,  ///< Its agent was on another host when first seen: a free lock tells nothing.
};

/// An expected artifact as it is now.
struct ArtifactState {
    bool present = false;  ///< A regular file, or a directory with one in it.
    FileStamp stamp;       ///< Of the file; of a directory, of its newest file.

    bool operator==(const ArtifactState&) const = default;
};

/// The three files of one attempt, ready to be written.
struct PublishedFiles {
    std::string command;
    std::string simple;
    std::string metadata;
    std::string attempt_id;  ///< Empty: the command is not offered to agents, as a manual step.
};

/// One worktree as a mailbox between an engine and its agents. Held from the first to the last
/// attempt of an execution; gives back its lock when destroyed.
class Mailbox {
public:
    virtual ~Mailbox() = default;

    /// Takes the worktree's lock, without waiting. `errc::worktree_busy` when another has it: an
    /// engine, or for a moment an agent that looks whether one does.
    virtual error_code try_lock() = 0;

    /// The attempt whose agent still holds its claim, if there is one. With the worktree's lock,
    /// claims that nobody holds any more are removed.
    virtual std::optional<std::string> live_claim() = 0;

    /// Removes command, status and cancel files of earlier attempts, from both places.
    virtual error_code prepare() = 0;

    /// Makes the attempt visible; the command file comes last and appears whole.
    virtual error_code publish(const PublishedFiles& files, Durability durability) = 0;

    /// The status files found: the worktree's root first, then `.cursor/`. Absent ones are left
    /// out.
    virtual std::vector<FoundFile> look() = 0;

    /// Once a claim was found, its file is asked whatever becomes of its path: removing, replacing
    /// or rewriting it changes nothing. It is `none` again after it was removed *and* unlocked.
    virtual ClaimState claim(const std::string& attempt_id) = 0;

    /// Offers the command that another engine has published for this attempt. False if its command
    /// file is gone or was replaced.
    virtual bool offer_again(const std::string& attempt_id) = 0;

    /// True when there is something else in the place of the command file that `publish` wrote.
    virtual bool command_replaced() { return false; }

    /// Takes the command file away, if it is still there.
    virtual error_code withdraw(const std::string& attempt_id) = 0;

    /// Asks the agent to stop; `text` goes into the cancel file.
    virtual error_code request_stop(const std::string& text) = 0;

    /// Removes what was published, the status, the cancel file and the claim, in this order. With
    /// `keep_cancel` the last two stay, for an agent that has not confirmed its stop.
    virtual error_code clean(const std::string& attempt_id, bool keep_cancel) = 0;

    /// True when the path no longer leads to the directory that was opened.
    virtual bool lost() = 0;

    /// `path` is relative and stays beneath the worktree.
    virtual ArtifactState artifact(const std::string& path) = 0;
};

class Handoff {
public:
    virtual ~Handoff() = default;

    /// Opens a worktree. `why` gets the sentence for a person when there is an error.
    virtual std::unique_ptr<Mailbox> open(const std::filesystem::path& worktree, error_code& ec,
                                          std::string& why) = 0;
};

/// Tells who waits that something in a worktree may have changed. Only ever a hint: polling is
/// the authority.
class Notifier {
public:
    virtual ~Notifier() = default;

    /// Ends the subscription when destroyed.
    using Subscription = std::shared_ptr<void>;

    /// `changed` is called from any thread, at most once per change.
    virtual Subscription watch(const std::filesystem::path& worktree,
                               std::function<void()> changed) = 0;

    /// Something in `worktree` was changed by this process.
    virtual void notify(const std::filesystem::path& worktree) = 0;
};

/// Polling only.
std::shared_ptr<Notifier> null_notifier();

/// Connects engines and agents of one process, if all are given the same one. Thread-safe.
std::shared_ptr<Notifier> local_notifier();

/// The attempts that the engines of this process have published. An agent that shares it with them
/// runs nothing else in the worktrees that they hold, whatever files appear there.
class Offers;

/// For engines and agents of one process, all given the same one. Thread-safe.
std::shared_ptr<Offers> local_offers();

/// A program to run, supervised: when it ends or is stopped, all its descendants end.
struct ProcessSpec {
    std::vector<std::string> argv;         ///< Not empty; `argv[0]` is looked up in PATH.
    std::filesystem::path directory;       ///< Working directory.
    std::vector<std::string> environment;  ///< All of it, as `NAME=value`.
    std::chrono::milliseconds stop_grace = std::chrono::seconds{10};  ///< From TERM to KILL.
    /// Before TERM, if we die: for programs that end by themselves, and had better not be
    /// disturbed.
    std::chrono::milliseconds orphan_grace{0};
    /// Borrowed descriptors, four at most, that stay open until all of it has ended: a lock on one
    /// of them is held that long, even if we die. The program itself does not get them.
    std::vector<int> held;
};

struct ProcessExit {
    std::optional<int> exit_code;
    std::optional<int> signal;
    std::string error;  ///< Why it did not start, or why its end is unknown; else empty.
    error_code reason;  ///< What the system said, where the program did not start.
    std::chrono::microseconds cpu{0};  ///< User and system, descendants included.
    std::int64_t peak_memory_kib = 0;  ///< Of the largest process.
};

enum class OutputStream { standard_output, standard_error };

/// A running program. Everything on the executor it was made for. Destroying it stops the
/// program and all its descendants without waiting.
class Process {
public:
    virtual ~Process() = default;

    /// Completes when the program and all its descendants have ended and the output is drained.
    /// Calls `output` for each chunk. Called once. Ignores cancellation: use `stop`.
    virtual asio::awaitable<ProcessExit> wait(
        std::function<void(OutputStream, std::string_view)> output) = 0;

    /// TERM to all, KILL after the grace. Idempotent.
    virtual void stop() noexcept = 0;

    /// Of the supervisor.
    virtual std::int64_t pid() const noexcept = 0;
};

class Spawner {
public:
    virtual ~Spawner() = default;

    /// Starts a program. On failure `ec` is set and `why` gets the sentence for a person.
    virtual std::unique_ptr<Process> spawn(const asio::any_io_executor& ex, const ProcessSpec& spec,
                                           error_code& ec, std::string& why) = 0;
};

/// Starts programs below `autoexec-supervise`, which is opened here: a later change of the
/// effective user, or an upgrade that replaces the file, does not matter. An empty path: searched
/// for beside the running program and in `../libexec/autoexec` from there, then beside a shared
/// library and where it is installed with one, then where the library was configured to be
/// installed, and at last where the CMake target `autoexec::autoexec` had it when the application
/// was built.
std::shared_ptr<Spawner> supervised_spawner(std::filesystem::path supervisor = {});

}  // namespace autoexec

#ifdef AUTOEXEC_SUPERVISOR
// Defined by the CMake target where the library can't know the place. The library refers to it
// weakly, so it must be in each program, used or not.
extern "C" [[gnu::used, gnu::visibility("default")]] inline const char*
autoexec_packaged_supervisor() noexcept
{
    return AUTOEXEC_SUPERVISOR;
}
#endif
