#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "handoff/claims.hpp"
#include "handoff/offers.hpp"
#include "protocol/command_file.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace autoexec::handoff {

/// The agent's side of a worktree: finds the command, claims it, reports. All of it blocks for
/// microseconds only.
class AgentMailbox {
public:
    /// How an agent knows the commands that an engine has published from others.
    struct Trust {
        /// Of the project's repository: see `git::git_dir_in`.
        std::optional<std::filesystem::path> common_dir;
        std::shared_ptr<Offers> offers;  ///< Of the engines of this process.
    };

    /// Nothing if the worktree can't be opened.
    static std::unique_ptr<AgentMailbox> open(const std::filesystem::path& worktree,
                                              std::string status_file_name, Trust trust);
    static std::unique_ptr<AgentMailbox> open(const std::filesystem::path& worktree,
                                              std::string status_file_name)
    {
        return open(worktree, std::move(status_file_name), Trust());
    }

    struct Found {
        enum class State {
            none,     ///< No command file, or it is not whole yet.
            foreign,  ///< Not to be run; `problem` says why.
            command,
        };
        State state = State::none;
        protocol::CommandFile command;
        std::string digest;  ///< Of the bytes that `command` was read from.
        FileStamp stamp;
        std::string problem;
    };

    /// The command that is there now. One with an attempt id counts only while an engine holds
    /// the worktree's lock: neither a left-over nor a committed file is ever run. One without is
    /// foreign unless `accept_legacy`. Either is foreign where the engine publishes offers, and
    /// none of this file.
    Found find(bool accept_legacy);

    /// Takes the attempt, and looks once more: nothing when somebody else has it, or when it was
    /// withdrawn or cancelled meanwhile.
    bool claim(const Found& found, const std::string& agent_id);

    /// The reason in the cancel file for this attempt, if there is one: `cancelled`, `timeout` or
    /// `interrupted`.
    std::optional<std::string> cancel_reason(const protocol::CommandFile& command);

    /// With a descriptor that is kept for it, where none is left.
    error_code write_status(const std::string& text);

    /// Whether the last look or claim failed for want of descriptors or memory.
    [[nodiscard]] bool lacks_resources() const noexcept { return lacks_resources_; }

    /// Tells that to the engine, if it is one of this process. True if it is news.
    bool report_shortage() const;

    /// Removes the command file if it is still this one.
    void remove_command(const Found& found);

    /// Gives up the claim; the engine removes it. `forget`: removes it, too, since nobody else
    /// will.
    void release(bool forget);

    /// Whoever has a copy of it keeps the claim's lock when we die.
    [[nodiscard]] std::optional<int> claim_descriptor() const;

    /// True when the path no longer leads to the directory that was opened.
    [[nodiscard]] bool lost() const;

    [[nodiscard]] bool has_artifact(const std::string& path) const;

private:
    AgentMailbox(std::filesystem::path worktree, files::UniqueFd folder, std::string status_name,
                 Trust trust);
    [[nodiscard]] OfferState offer_of(const Found& found) const;
    void hand_over_claim() const;
    void note(error_code ec);
    void keep_descriptor();

    std::filesystem::path worktree_;
    Trust trust_;
    std::optional<std::filesystem::path> git_dir_;  // as of the last look at a command
    struct stat identity_ {};
    files::UniqueFd folder_;
    files::UniqueFd claims_;
    files::Owners owners_;
    std::string status_name_;
    std::string claim_id_;
    std::optional<Claim> claim_;
    files::UniqueFd spare_;
    bool lacks_resources_ = false;
};

}  // namespace autoexec::handoff
