#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "handoff/claims.hpp"
#include "handoff/offers.hpp"
#include "protocol/command_file.hpp"
#include "protocol/question_format.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace autoexec::handoff {

/// The agent's side of a worktree: finds and claims the command, and reports. All functions block
/// only for microseconds.
class AgentMailbox {
public:
    /// Of a claim that was not released, the lock lasts until the last program that has a copy of
    /// its descriptor ends.
    ~AgentMailbox();
    AgentMailbox(const AgentMailbox&) = delete;
    AgentMailbox& operator=(const AgentMailbox&) = delete;

    /// How an agent distinguishes commands that an executor has published from other files.
    struct Trust {
        /// Common directory of the project's repository: see `git_files::find_tree_in`.
        std::optional<std::filesystem::path> common_dir;
        std::shared_ptr<Offers> offers;  ///< Offers of the executors of this process.
    };

    /// Returns null if the worktree cannot be opened.
    static std::unique_ptr<AgentMailbox> open(const std::filesystem::path& worktree,
                                              std::string status_file_name, Trust trust);
    static std::unique_ptr<AgentMailbox> open(const std::filesystem::path& worktree,
                                              std::string status_file_name)
    {
        return open(worktree, std::move(status_file_name), Trust());
    }

    /// False if there is no command file: most worktrees have none, most of the time.
    static bool may_have_command(const std::filesystem::path& worktree);

    struct Found {
        enum class State {
            none,     ///< No command file, or an incomplete one.
            foreign,  ///< Must not be run; `problem` says why.
            command,
        };
        State state = State::none;
        protocol::CommandFile command;
        std::string digest;  ///< Digest of the bytes that `command` was read from.
        FileStamp stamp;
        std::string problem;
    };

    /// Finds the current command. With an attempt id it is valid only while an executor holds the
    /// worktree's lock, so left-over and committed files are never run. Without one it is foreign,
    /// unless `accept_legacy`. Both are foreign if the executor publishes offers but did not offer
    /// this file.
    Found find(bool accept_legacy);

    /// Claims the attempt, then checks again. Returns false if another agent has it, or if it was
    /// withdrawn or cancelled meanwhile.
    bool claim(const Found& found, const std::string& agent_id);

    /// The reason in the cancel file for this attempt, if there is one: `cancelled`, `timeout` or
    /// `interrupted`.
    std::optional<std::string> cancel_reason(const protocol::CommandFile& command);

    /// What the executor has answered to this attempt, once: from the memory of this process, or
    /// from the git directory.
    std::optional<protocol::AnswerFile> take_answer(const std::string& attempt_id);

    /// Uses the descriptor of the claims folder if no other is left.
    error_code write_status(const std::string& text);

    /// True if the last `find` or `claim` failed for lack of descriptors or memory.
    [[nodiscard]] bool lacks_resources() const noexcept { return lacks_resources_; }

    /// Reports that to the executor, if it is in this process. Returns true the first time.
    bool report_shortage() const;

    /// Removes the command file if it is still this one.
    void remove_command(const Found& found);

    /// Releases the claim; the executor removes it. `forget`: also removes it, because no executor
    /// will.
    void release(bool forget);

    /// A process with a copy of it keeps the claim's lock if this process dies.
    [[nodiscard]] std::optional<int> claim_descriptor() const;

    /// True if the path no longer leads to the opened directory.
    [[nodiscard]] bool lost() const;

    [[nodiscard]] bool has_artifact(const std::string& path) const;

private:
    AgentMailbox(std::filesystem::path worktree, files::UniqueFd folder, std::string status_name,
                 Trust trust);
    error_code find_git_dir();
    [[nodiscard]] OfferState offer_of(const Found& found) const;
    void hand_over_claim() const;
    void record(error_code ec);
    void open_claims();
    [[nodiscard]] bool is_still_published(const Found& found);

    std::filesystem::path worktree_;
    Trust trust_;
    std::optional<std::filesystem::path> git_dir_;
    bool git_dir_known_ = false;
    struct stat identity_ {};
    files::UniqueFd folder_;
    files::UniqueFd claims_;  ///< Closed to write the last status if no other descriptor is left.
    files::Owners owners_;
    std::string status_name_;
    std::string claim_id_;
    std::optional<Claim> claim_;
    bool lacks_resources_ = false;
};

}  // namespace autoexec::handoff
