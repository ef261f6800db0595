#pragma once

#include <autoexec/error.hpp>
#include <autoexec/file.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::inline v1 {

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

/// Opens worktrees as mailboxes. Tests replace it.
class Handoff {
public:
    virtual ~Handoff() = default;

    /// Opens a worktree. `why` gets the sentence for a person when there is an error.
    virtual std::unique_ptr<Mailbox> open(const std::filesystem::path& worktree, error_code& ec,
                                          std::string& why) = 0;
};

}  // namespace autoexec::inline v1
