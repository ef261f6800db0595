#include "support/engine_side.hpp"

#include "autoexec/testing/fixtures.hpp"
#include "handoff/file_handoff.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <utility>

namespace autoexec::test {

void make_git_folder(const std::filesystem::path& tree)
{
    for (const auto* folder : {"objects", "refs"})
        std::filesystem::create_directories(tree / ".git" / folder);
    write_file(tree / ".git/HEAD", "ref: refs/heads/main\n");
}

EngineSide::EngineSide(std::filesystem::path worktree)
    : tree_(std::move(worktree)), handoff_(handoff::file_handoff())
{
    std::filesystem::create_directories(tree_);
    open();
}

EngineSide::~EngineSide() = default;

protocol::CommandFile EngineSide::command(std::string text)
{
    protocol::CommandFile file;
    file.command = std::move(text);
    file.execution_id = text::new_uuid();
    file.attempt_id = text::new_uuid();
    file.attempt = 1;
    return file;
}

const protocol::CommandFile& EngineSide::publish(protocol::CommandFile file)
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

const protocol::CommandFile& EngineSide::publish(std::string text)
{
    return publish(command(std::move(text)));
}

void EngineSide::publish_unlocked(const protocol::CommandFile& file)
{
    write_file(tree_ / control_files::command, protocol::format_command(file));
}

void EngineSide::ask_to_stop(std::string reason)
{
    protocol::CancelFile cancel;
    cancel.execution_id = published_.execution_id;
    cancel.attempt_id = published_.attempt_id;
    cancel.reason = std::move(reason);
    REQUIRE_FALSE(mailbox_->request_stop(protocol::format_cancel(cancel)));
}

void EngineSide::answer(const std::string& text)
{
    REQUIRE_FALSE(mailbox_->answer(published_.attempt_id, text));
}

void EngineSide::withdraw()
{
    REQUIRE_FALSE(mailbox_->withdraw(published_.attempt_id));
}

void EngineSide::clean()
{
    REQUIRE_FALSE(mailbox_->clean(published_.attempt_id, false));
}

void EngineSide::die()
{
    mailbox_.reset();
    open();
}

std::optional<AgentStatus> EngineSide::status_in(const std::filesystem::path& tree)
{
    return testing::read_status_file(tree);
}

bool EngineSide::has(std::string_view name) const
{
    return std::filesystem::exists(tree_ / name);
}

void EngineSide::open()
{
    error_code ec;
    std::string why;
    mailbox_ = handoff_->open(tree_, ec, why);
    REQUIRE_MESSAGE(mailbox_, why);
    locked_ = false;
}

}  // namespace autoexec::test
