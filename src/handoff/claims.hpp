#pragma once

#include "autoexec/mailbox.hpp"
#include "files/safe_files.hpp"
#include "protocol/running_files.hpp"

#include <sys/stat.h>
#include <sys/types.h>

#include <compare>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// Claims record which agent runs an attempt. A claim is a file that its agent locks while it
/// lives; the lock belongs to the inode, so it is taken before the file gets its name.
namespace autoexec::handoff {

/// Identifies a folder or a file independently of its path.
struct FolderId {
    dev_t device = 0;
    ino_t inode = 0;

    auto operator<=>(const FolderId&) const = default;  // NOLINT(modernize-use-nullptr): its 0
};

inline FolderId folder_id(const struct stat& st) noexcept
{
    return {st.st_dev, st.st_ino};
}

/// All zero if it fails.
struct stat stat_of(int fd) noexcept;

/// Opens or creates the claims folder of a worktree: in its git directory, where `git clean` does
/// not reach it; outside git, in the worktree itself. Opened relative to the caller's descriptor.
files::UniqueFd open_claims_folder(int worktree_fd, const std::filesystem::path& worktree,
                                   error_code& ec);

/// The same with a known git directory, or nullopt for none: searching for it takes dozens of
/// system calls.
files::UniqueFd open_claims_folder(int worktree_fd,
                                   const std::optional<std::filesystem::path>& git_dir,
                                   error_code& ec);

/// The folder of claims, offers and answers in a git directory, and the claims folder there.
inline constexpr char own_folder[] = "autoexec";
inline constexpr char claims_in_git_dir[] = "autoexec/claims";

struct OwnFolder {
    std::filesystem::path path;
    files::UniqueFd folder;
    error_code error;     ///< Why there is no descriptor.
    bool is_new = false;  ///< Made just now, so that there is nothing in it.
};

/// Opens it, creating it if it is missing.
OwnFolder make_own_folder(const std::filesystem::path& git_dir);

/// Opens or creates a folder in it. `is_new`: set to true if it was certainly missing.
files::UniqueFd open_in(const OwnFolder& own, const char* name, error_code& ec,
                        bool* is_new = nullptr);

/// The same of the claims folder.
files::UniqueFd open_own_claims(const OwnFolder& own, error_code& ec, bool* is_new = nullptr);

/// Where the claims of a worktree with this git directory are, unless that is not writable.
std::filesystem::path claims_path(const std::filesystem::path& git_dir);

/// Opens the same folder without creating it.
files::UniqueFd find_claims_folder(int worktree_fd,
                                   const std::optional<std::filesystem::path>& git_dir);

/// Replaces the lock of a folder on file systems that cannot lock folders.
inline constexpr char folder_lock_file[] = ".lock";

/// Locks `folder` or, if folders cannot be locked, a file in `lock_file_folder` (-1: none), which
/// `file` keeps open. The lock of a worktree means "an executor runs a command here"; its file is
/// in the claims folder. `errc::worktree_busy` if it is locked.
error_code lock_folder(int folder, int lock_file_folder, files::UniqueFd& file);
void unlock_folder(int folder, const files::UniqueFd& file) noexcept;
bool is_folder_locked(int folder, int lock_file_folder);

/// True if an executor holds the worktree's lock. Creates nothing if folders can be locked.
bool executor_holds_lock(int worktree_fd, const std::filesystem::path& worktree);
bool executor_holds_lock(int worktree_fd, const std::optional<std::filesystem::path>& git_dir);

/// True if the lock of the file can be taken; false also if that cannot be checked.
bool is_lock_free(int fd);

/// Where the claims of a worktree are.
struct ClaimPlace {
    int base = -1;       ///< A folder.
    std::string claims;  ///< The path of the claims folder below it.
    /// A path below it for the executor's own link to a claim, out of the reach of a program that
    /// clears the claims folder. Empty: none.
    std::string link;
};

/// The executor's view of the claims in one worktree.
class ClaimReader {
public:
    explicit ClaimReader(const FolderId& worktree) : worktree_(worktree) {}

    [[nodiscard]] const FolderId& worktree() const noexcept { return worktree_; }

    /// The first call that finds the claim keeps its file: later calls probe that file, whatever
    /// happens to its path and content. It is kept as a hard link, so that waiting needs no
    /// descriptor, or else open.
    ClaimState state(const ClaimPlace& place, const std::string& attempt_id);

    /// An attempt in this worktree whose agent still holds its claim. `remove_others`: also removes
    /// claims and temporary files of dead agents.
    [[nodiscard]] std::optional<std::string> find_live(int claims_folder, bool remove_others) const;

    error_code remove(const ClaimPlace& place, const std::string& attempt_id);

    /// Removes the link, if there is one. A later call looks for the claim at its path.
    void forget(const ClaimPlace& place);

private:
    struct Seen {
        std::string attempt_id;
        FolderId id;         ///< Of the file.
        files::UniqueFd fd;  ///< Empty: it is kept as a link.
        bool remote = false;
    };

    std::optional<ClaimState> open(const ClaimPlace& place, const std::string& attempt_id);
    [[nodiscard]] bool is_elsewhere(const protocol::ClaimFile& claim) const;
    [[nodiscard]] files::UniqueFd reopen(const ClaimPlace& place) const;
    void keep_as_link(const ClaimPlace& place);

    FolderId worktree_;
    std::unique_ptr<Seen> seen_;  ///< Until an agent has claimed it, null: thousands wait.
};

/// The agent's claim, held until destruction.
class Claim {
public:
    /// Returns nullopt if another agent was faster (`ec` is clear) or on failure (`ec` is set).
    static std::optional<Claim> create(int claims_fd, const std::string& attempt_id,
                                       const std::string& content, error_code& ec);

    /// Removes the file and releases the lock, for a command that is not run after all.
    void drop(int claims_fd, const std::string& attempt_id);

    /// Unlocks, even if other processes have copies of the descriptor, and closes it: closing the
    /// last writable copy raises the file event `IN_CLOSE_WRITE`, which unlocking does not. After
    /// mere destruction the lock lasts as long as the program that inherited it.
    void release() noexcept;

    [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }

private:
    explicit Claim(files::UniqueFd fd) : fd_(std::move(fd)) {}
    files::UniqueFd fd_;
};

/// The name of this host, and the id of this process, as written in claims.
std::string host_name();
pid_t process_id();

}  // namespace autoexec::handoff
