#pragma once

#include "autoexec/mailbox.hpp"
#include "files/safe_files.hpp"

#include <boost/json/object.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>

/// Who took which attempt. A claim is a file whose lock its agent holds as long as it lives; the
/// lock belongs to the inode, so it is taken before the file gets its name.
namespace autoexec::handoff {

/// The folder of a worktree's claims: in its git directory, out of reach of a `git clean`; outside
/// git in the worktree itself. Opened relative to what the caller holds; created if missing.
files::UniqueFd open_claims_folder(int worktree_fd, const std::filesystem::path& worktree,
                                   error_code& ec);

/// The same where the git directory, or that there is none, is known: looking for it takes dozens
/// of system calls.
files::UniqueFd open_claims_folder(int worktree_fd,
                                   const std::optional<std::filesystem::path>& git_dir,
                                   error_code& ec);

/// The same folder if it exists; creates nothing.
files::UniqueFd find_claims_folder(int worktree_fd,
                                   const std::optional<std::filesystem::path>& git_dir);

enum class LockResult { taken, busy, failed };

/// Stands in for the lock of a folder where folders can't be locked.
inline constexpr char folder_lock_file[] = ".lock";

/// Locks `folder`, or, where folders can't be locked, a file in `lock_file_folder`. `file` keeps
/// that file open. Of a worktree the lock says "an engine runs a command here"; its file is beside
/// the claims.
LockResult lock_folder(int folder, int lock_file_folder, files::UniqueFd& file);
void unlock_folder(int folder, const files::UniqueFd& file) noexcept;
bool is_folder_locked(int folder, int lock_file_folder);

/// True when some engine holds the lock of the worktree. Creates nothing where folders can be
/// locked.
bool engine_holds_lock(int worktree_fd, const std::filesystem::path& worktree);
bool engine_holds_lock(int worktree_fd, const std::optional<std::filesystem::path>& git_dir);

/// The engine's view of the claims in one worktree.
class ClaimReader {
public:
    ClaimReader(files::UniqueFd folder, const struct stat& worktree)
        : folder_(std::move(folder)), worktree_(worktree)
    {}

    [[nodiscard]] int folder() const noexcept { return folder_.get(); }

    /// The first call that finds the claim keeps its file open; from then on that file is asked,
    /// whatever becomes of the path and the content.
    ClaimState state(const std::string& attempt_id);

    /// Keeps the claim that an agent of this process has handed over: it runs the command, so an
    /// unlocked claim is `free` even if it was removed.
    void keep(const std::string& attempt_id, files::UniqueFd claim);

    /// An attempt in this worktree whose agent still holds its claim. Changes nothing.
    [[nodiscard]] std::optional<std::string> find_live() const;

    /// An attempt in this worktree whose agent still lives. Claims and temporaries of dead agents
    /// are removed.
    std::optional<std::string> sweep();

    error_code remove(const std::string& attempt_id);

private:
    [[nodiscard]] bool is_elsewhere(const boost::json::object& claim) const;

    files::UniqueFd folder_;
    struct stat worktree_;

    struct Open {
        std::string attempt_id;
        files::UniqueFd fd;
        bool remote = false;
        bool handed_over = false;
    };
    std::optional<Open> open_;  // one look is then one system call
};

/// The agent's claim: held until destroyed.
class Claim {
public:
    /// Nothing when another agent was first (`ec` is clear), or when it failed (`ec` is set).
    static std::optional<Claim> take(int claims_fd, const std::string& attempt_id,
                                     const std::string& content, error_code& ec);

    /// Removes the file and gives up the lock: for a command that is not run after all.
    void drop(int claims_fd, const std::string& attempt_id);

    /// Unlocks, whoever else holds the descriptor, and closes it: it is writable, so closing the
    /// last copy raises the file event `IN_CLOSE_WRITE`, which unlocking alone does not. When
    /// merely destroyed, the lock lasts as long as the program that was started with it.
    void release() noexcept;

    [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }

private:
    explicit Claim(files::UniqueFd fd) : fd_(std::move(fd)) {}
    files::UniqueFd fd_;
};

/// Another descriptor of a claim in that folder, whose lock can be asked.
files::UniqueFd reopen_claim(int claims_fd, const std::string& attempt_id);

/// The name of this host, as claims carry it.
std::string host_name();

}  // namespace autoexec::handoff
