#pragma once

#include "handoff/file_handoff.hpp"
#include "protocol/command_file.hpp"
#include "protocol/status.hpp"
#include "support/temporary_folder.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace autoexec::test {

/// An engine reduced to its files: locks a worktree, publishes, looks, asks to stop.
class EngineSide {
public:
    explicit EngineSide(std::filesystem::path worktree) : tree_(std::move(worktree))
    {
        std::filesystem::create_directories(tree_);
        open();
    }

    static protocol::CommandFile command(std::string text = "build it")
    {
        protocol::CommandFile file;
        file.command = std::move(text);
        file.execution_id = text::new_uuid();
        file.attempt_id = text::new_uuid();
        file.attempt = 1;
        return file;
    }

    /// Makes the command visible and keeps the worktree's lock.
    const protocol::CommandFile& publish(protocol::CommandFile file)
    {
        if (!locked_) REQUIRE_FALSE(mailbox_->try_lock());
        locked_ = true;
        REQUIRE_FALSE(mailbox_->prepare());
        published_ = std::move(file);
        PublishedFiles files;
        files.command = protocol::format_command(published_);
        files.simple = published_.command;
        files.metadata = protocol::format_metadata(published_, published_.command);
        files.attempt_id = published_.attempt_id;
        REQUIRE_FALSE(mailbox_->publish(files, Durability::process));
        return published_;
    }
    const protocol::CommandFile& publish(std::string text = "build it")
    {
        return publish(command(std::move(text)));
    }

    /// As an engine of the original's: no lock, no ids.
    void publish_unlocked(const protocol::CommandFile& file)
    {
        write_file(tree_ / control_files::command, protocol::format_command(file));
    }

    void ask_to_stop(std::string reason = "cancelled")
    {
        protocol::CancelFile cancel;
        cancel.execution_id = published_.execution_id;
        cancel.attempt_id = published_.attempt_id;
        cancel.reason = std::move(reason);
        REQUIRE_FALSE(mailbox_->request_stop(protocol::format_cancel(cancel)));
    }

    void withdraw() { REQUIRE_FALSE(mailbox_->withdraw(published_.attempt_id)); }

    /// After an attempt, as an engine leaves the worktree.
    void clean() { REQUIRE_FALSE(mailbox_->clean(published_.attempt_id, false)); }

    /// The engine is gone, and with it the lock.
    void die()
    {
        mailbox_.reset();
        open();
    }

    [[nodiscard]] ClaimState claim() { return mailbox_->claim(published_.attempt_id); }
    [[nodiscard]] std::optional<AgentStatus> status() const { return status_in(tree_); }

    static std::optional<AgentStatus> status_in(const std::filesystem::path& tree)
    {
        auto reading = protocol::parse_status(read_file(tree / control_files::status));
        if (reading.kind != protocol::StatusReading::Kind::valid) return std::nullopt;
        return std::move(reading.status);
    }

    [[nodiscard]] bool has(std::string_view name) const
    {
        return std::filesystem::exists(tree_ / name);
    }
    [[nodiscard]] const std::filesystem::path& tree() const noexcept { return tree_; }
    [[nodiscard]] const protocol::CommandFile& published() const noexcept { return published_; }

private:
    void open()
    {
        error_code ec;
        std::string why;
        mailbox_ = handoff_->open(tree_, ec, why);
        REQUIRE_MESSAGE(mailbox_, why);
        locked_ = false;
    }

    std::filesystem::path tree_;
    std::shared_ptr<Handoff> handoff_ = handoff::file_handoff();
    std::unique_ptr<Mailbox> mailbox_;
    protocol::CommandFile published_;
    bool locked_ = false;
};

}  // namespace autoexec::test
