#pragma once

#include "autoexec/ports.hpp"
#include "protocol/command_file.hpp"
#include "protocol/status.hpp"
#include "support/temporary_folder.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::test {

/// Makes what git would take for a repository.
void make_git_folder(const std::filesystem::path& tree);

/// An executor reduced to its files: locks a worktree, publishes, looks, asks to stop.
class EngineSide {
public:
    explicit EngineSide(std::filesystem::path worktree);
    ~EngineSide();

    static protocol::CommandFile command(std::string text = "build it");

    /// Makes the command visible and keeps the worktree's lock.
    const protocol::CommandFile& publish(protocol::CommandFile file);
    const protocol::CommandFile& publish(std::string text = "build it");

    /// As an executor of the original's: no lock, no ids.
    void publish_unlocked(const protocol::CommandFile& file);

    void ask_to_stop(std::string reason = "cancelled");

    /// Hands over the text of an answer.
    void answer(const std::string& text);

    void withdraw();

    /// After an attempt, as an executor leaves the worktree.
    void clean();

    /// The executor is gone, and with it the lock.
    void die();

    [[nodiscard]] ClaimState claim() { return mailbox_->claim(published_.attempt_id); }
    [[nodiscard]] std::optional<AgentStatus> status() const { return status_in(tree_); }

    static std::optional<AgentStatus> status_in(const std::filesystem::path& tree);

    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] const std::filesystem::path& tree() const noexcept { return tree_; }
    [[nodiscard]] const protocol::CommandFile& published() const noexcept { return published_; }

private:
    void open();

    std::filesystem::path tree_;
    std::shared_ptr<Handoff> handoff_;
    std::unique_ptr<Mailbox> mailbox_;
    protocol::CommandFile published_;
    bool locked_ = false;
};

}  // namespace autoexec::test
