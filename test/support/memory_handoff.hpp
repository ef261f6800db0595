#pragma once

#include "autoexec/ports.hpp"
#include "protocol/command_file.hpp"
#include "protocol/status.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::test {

/// A worktree in memory. Fields are public: tests set them up and look at them.
struct MemoryTree {
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
    std::function<void()> on_publish;
    std::function<void()> on_withdraw;  // after the command file is gone

    std::vector<protocol::CommandFile> published;
    std::vector<std::string> calls;
    std::uint64_t changes = 0;

    FoundFile file(std::string text)
    {
        FoundFile f;
        f.state = FoundFile::State::present;
        f.text = std::move(text);
        f.stamp.inode = ++changes;
        return f;
    }

    const std::string& attempt_id() const { return published.back().attempt_id; }

    /// The agent takes the command, as ours does.
    void take() { claims[attempt_id()] = ClaimState::live; }

    /// A status of ours for the attempt in flight.
    AgentStatus status(ReportedStatus word) const
    {
        AgentStatus s;
        s.structured = true;
        s.status = word;
        s.attempt_id = attempt_id();
        s.execution_id = published.back().execution_id;
        return s;
    }
    void write(const AgentStatus& s) { root_status = file(protocol::format_status(s)); }
    void write_text(std::string text) { root_status = file(std::move(text)); }

    /// The agent writes its last status and gives up its claim.
    void report(AgentStatus s)
    {
        write(s);
        if (claims.contains(attempt_id())) claims[attempt_id()] = ClaimState::free;
    }
    void complete() { report(status(ReportedStatus::completed)); }
    void fail(std::string message, std::string code = {}, std::optional<bool> retryable = {})
    {
        auto s = status(ReportedStatus::failed);
        s.error = CommandError{std::move(message), std::move(code), retryable, 0};
        report(std::move(s));
    }
    void create(const std::string& path)
    {
        artifacts[path].present = true;
        artifacts[path].stamp.inode = ++changes;
    }
};

class MemoryMailbox final : public Mailbox {
public:
    explicit MemoryMailbox(std::shared_ptr<MemoryTree> tree) : tree_(std::move(tree)) {}
    ~MemoryMailbox() override
    {
        if (holds_lock_) tree_->locked = false;
    }

    error_code try_lock() override
    {
        if (tree_->lock_error) return tree_->lock_error;
        if (tree_->locked) return errc::worktree_busy;
        tree_->locked = holds_lock_ = true;
        return {};
    }
    std::optional<std::string> live_claim() override
    {
        for (const auto& [id, state] : tree_->claims)
            if (state == ClaimState::live) return id;
        return std::nullopt;
    }
    error_code prepare() override
    {
        tree_->calls.emplace_back("prepare");
        if (tree_->root_status && tree_->root_status->state == FoundFile::State::present)
            tree_->root_status.reset();
        tree_->other_status.reset();
        tree_->cancel.reset();
        tree_->command.reset();
        return {};
    }
    error_code publish(const PublishedFiles& files, Durability) override
    {
        if (tree_->publish_error) return tree_->publish_error;
        tree_->calls.emplace_back("publish");
        std::string problem;
        tree_->command = protocol::parse_command(files.command, problem);
        tree_->command_replaced = false;
        const auto& all = tree_->published;
        const auto& id = tree_->command->attempt_id;
        if (id.empty() || all.empty() || all.back().attempt_id != id)
            tree_->published.push_back(*tree_->command);
        else
            ++tree_->published_again;
        if (tree_->on_publish) tree_->on_publish();
        return {};
    }
    std::vector<FoundFile> look() override
    {
        std::vector<FoundFile> found;
        if (tree_->root_status) found.push_back(*tree_->root_status);
        if (tree_->other_status) found.push_back(*tree_->other_status);
        return found;
    }
    ClaimState claim(const std::string& attempt_id) override
    {
        const auto found = tree_->claims.find(attempt_id);
        return found == tree_->claims.end() ? ClaimState::none : found->second;
    }
    bool offer_again(const std::string&) override { return tree_->command.has_value(); }
    bool command_replaced() override { return tree_->command_replaced; }
    error_code withdraw(const std::string&) override
    {
        tree_->calls.emplace_back("withdraw");
        tree_->command.reset();
        if (tree_->on_withdraw) tree_->on_withdraw();
        return {};
    }
    error_code request_stop(const std::string& text) override
    {
        tree_->calls.emplace_back("request_stop");
        if (tree_->stop_error) return tree_->stop_error;
        tree_->cancel = protocol::parse_cancel(text);
        return {};
    }
    error_code clean(const std::string& attempt_id, bool keep_cancel) override
    {
        tree_->calls.emplace_back(keep_cancel ? "clean, keep cancel" : "clean");
        tree_->command.reset();
        if (tree_->root_status && tree_->root_status->state == FoundFile::State::present)
            tree_->root_status.reset();
        tree_->other_status.reset();
        if (keep_cancel) return {};
        tree_->cancel.reset();
        tree_->claims.erase(attempt_id);
        return {};
    }
    bool lost() override { return tree_->gone; }
    ArtifactState artifact(const std::string& path) override
    {
        const auto found = tree_->artifacts.find(path);
        return found == tree_->artifacts.end() ? ArtifactState{} : found->second;
    }

private:
    std::shared_ptr<MemoryTree> tree_;
    bool holds_lock_ = false;
};

struct MemoryHandoff final : Handoff {
    std::map<std::string, std::shared_ptr<MemoryTree>> trees;

    MemoryTree& at(const std::string& path)
    {
        auto& tree = trees[path];
        if (!tree) tree = std::make_shared<MemoryTree>();
        return *tree;
    }

    std::unique_ptr<Mailbox> open(const std::filesystem::path& worktree, error_code& ec,
                                  std::string& why) override
    {
        at(worktree.string());
        auto tree = trees[worktree.string()];
        if (!tree->exists) {
            ec = errc::invalid_worktree;
            why = "The worktree does not exist.";
            return nullptr;
        }
        return std::make_unique<MemoryMailbox>(std::move(tree));
    }
};

}  // namespace autoexec::test
