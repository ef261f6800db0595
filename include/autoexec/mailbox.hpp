#pragma once

#include <autoexec/error.hpp>
#include <autoexec/file.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::inline v1 {

/// The state of the claim of an attempt.
enum class ClaimState {
    none,    ///< No agent has claimed the attempt.
    live,    ///< Its agent holds the lock, or the lock cannot be checked.
    free,    ///< Its agent has ended.
    remote,  ///< Its agent was on another host when first seen: a free lock proves nothing.
};

/// An expected artifact as it is now.
struct ArtifactState {
    bool present = false;  ///< A regular file, or a directory that contains one.
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

/// A tree that git knows. Paths are absolute and without links.
struct GitTree {
    std::filesystem::path git_dir;
    std::filesystem::path common_dir;  ///< That of the repository: `git_dir`, if it is not linked.
    std::filesystem::path top;
};

/// One worktree as a mailbox between an executor and its agents. Exists from the first to the last
/// attempt of an execution; releases its lock when destroyed.
class Mailbox {
public:
    virtual ~Mailbox() = default;

    /// Takes the worktree's lock, without waiting. `errc::worktree_busy` if it is held: by another
    /// executor, or for a moment by an agent that checks whether an executor holds it.
    virtual error_code try_lock() = 0;

    /// As found when the lock was taken, before a program of this execution could change it. Absent
    /// outside git, or if it is not known.
    [[nodiscard]] virtual std::optional<GitTree> git_tree() const { return std::nullopt; }

    /// The attempt whose agent still holds its claim, if there is one. If the worktree's lock is
    /// held, claims that are no longer held are removed.
    virtual std::optional<std::string> live_claim() = 0;

    /// Removes command, status and cancel files of earlier attempts, from both folders.
    virtual error_code prepare() = 0;

    /// Makes the attempt visible; the command file appears last, and complete.
    virtual error_code publish(const PublishedFiles& files, Durability durability) = 0;

    /// The status files found: the worktree's root first, then `.cursor/`. Absent ones are left
    /// out.
    virtual std::vector<FoundFile> look() = 0;

    /// Once a claim was found, that file is checked, whatever happens to its path: removing,
    /// replacing or rewriting it has no effect. `none` again after it was removed *and* unlocked.
    virtual ClaimState claim(const std::string& attempt_id) = 0;

    /// Offers the command that another executor has published for this attempt. False if its
    /// command file was removed or replaced.
    virtual bool offer_again(const std::string& attempt_id) = 0;

    /// True if the command file that `publish` wrote has been replaced.
    virtual bool command_replaced() { return false; }

    /// Removes the command file, if it still exists.
    virtual error_code withdraw(const std::string& attempt_id) = 0;

    /// Asks the agent to stop; `text` goes into the cancel file.
    virtual error_code request_stop(const std::string& text) = 0;

    /// Hands an answer to the agent that has claimed the attempt, replacing an earlier one. Not
    /// through the worktree, where the agent's program could write one of its own.
    virtual error_code answer(const std::string& attempt_id, const std::string& text) = 0;

    /// Removes what was published, the status, an answer, the cancel file and the claim, in this
    /// order. With `keep_cancel` the last two are kept, for an agent that has not confirmed its
    /// stop.
    virtual error_code clean(const std::string& attempt_id, bool keep_cancel) = 0;

    /// True when the path no longer leads to the directory that was opened.
    virtual bool lost() = 0;

    /// `path` is relative, and within the worktree.
    virtual ArtifactState artifact(const std::string& path) = 0;
};

/// Opens worktrees as mailboxes. Tests replace it.
class Handoff {
public:
    virtual ~Handoff() = default;

    /// Opens a worktree. On failure `ec` is set and `why` gets a message for a person.
    virtual std::unique_ptr<Mailbox> open(const std::filesystem::path& worktree, error_code& ec,
                                          std::string& why) = 0;
};

}  // namespace autoexec::inline v1
