#pragma once

#include "autoexec/ports.hpp"
#include "protocol/command_file.hpp"
#include "protocol/question_format.hpp"
#include "protocol/status.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::test {

/// A worktree in memory. Fields are public: tests set them up and look at them.
struct MemoryTree {
    MemoryTree();
    ~MemoryTree();

    std::optional<FoundFile> root_status;
    std::optional<FoundFile> other_status;  // in `.cursor/`
    std::map<std::string, ClaimState> claims;
    std::map<std::string, ArtifactState> artifacts;
    std::optional<protocol::CommandFile> command;  // what an agent would see
    std::optional<protocol::CancelFile> cancel;

    bool exists = true;
    bool locked = false;
    bool gone = false;
    bool command_replaced = false;  // until the next publishing
    int published_again = 0;        // for the same attempt
    error_code lock_error;
    error_code publish_error;
    error_code stop_error;
    error_code answer_error;
    std::optional<protocol::AnswerFile> answer;  // the last one
    std::function<void()> on_publish;
    std::function<void()> on_withdraw;  // after the command file is gone

    std::vector<protocol::CommandFile> published;
    std::vector<std::string> calls;
    std::uint64_t changes = 0;

    FoundFile file(std::string text);

    const std::string& attempt_id() const;

    /// The agent takes the command, as ours does.
    void take();

    /// A status of ours for the attempt in flight.
    AgentStatus status(ReportedStatus word) const;
    void write(const AgentStatus& s);
    void write_text(std::string text);

    /// The agent writes its last status and gives up its claim.
    void report(AgentStatus s);
    void complete();
    void fail(std::string message, std::string code = {}, std::optional<bool> retryable = {});
    void create(const std::string& path);
};

/// Worktrees in memory, by their paths.
struct MemoryHandoff final : Handoff {
    std::map<std::string, std::shared_ptr<MemoryTree>> trees;

    MemoryTree& at(const std::string& path);

    std::unique_ptr<Mailbox> open(const std::filesystem::path& worktree, error_code& ec,
                                  std::string& why) override;
};

}  // namespace autoexec::test
