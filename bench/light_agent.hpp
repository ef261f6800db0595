#pragma once

#include "autoexec/ports.hpp"

#include "async/short_names.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/agent_mailbox.hpp"
#include "measure.hpp"
#include "protocol/control_files.hpp"
#include "protocol/status.hpp"
#include "text/text.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace autoexec::bench {

/// As the program makes it.
inline std::shared_ptr<Notifier> make_notifier(asio::io_context& ctx,
                                               const std::filesystem::path& project)
{
    FileNotifierOptions options;
    options.project_root = project;
    return file_notifier(ctx.get_executor(), options);
}

/// Of a command outside git, with an agent in the process: both sides open the worktree and the
/// claim, and the agent the folder of claims.
inline constexpr std::size_t descriptors_in_flight = 5;

/// The agent's side of a command of which nothing is run: claim, one final status, release.
class ClaimedCommand {
public:
    using Trust = handoff::AgentMailbox::Trust;

    bool claim(const std::filesystem::path& tree, const Trust& trust)
    {
        box_ = handoff::AgentMailbox::open(tree, control_files::status, trust);
        check(box_ != nullptr, "opening a worktree");
        found_ = box_->find(false);
        const bool claimed = found_.state == handoff::AgentMailbox::Found::State::command &&
                             box_->claim(found_, "light");
        check(!box_->lacks_resources(), "too few descriptors");
        return claimed;
    }

    void write_result()
    {
        AgentStatus status;
        status.structured = true;
        status.status = ReportedStatus::completed;
        status.ids() = found_.command.ids();
        status.exit_code = 0;
        status.sequence = 1;
        status.completed_at = std::chrono::system_clock::now();
        box_->remove_command(found_);
        check(!box_->write_status(protocol::format_status(status)), "writing a status");
    }

    void release() { box_->release(false); }

private:
    std::unique_ptr<handoff::AgentMailbox> box_;
    handoff::AgentMailbox::Found found_;
};

/// An agent in the executor's process. Everything on its executor, which has one thread.
class LightAgent : public std::enable_shared_from_this<LightAgent> {
public:
    /// When to report. Null: at once.
    using Delay = std::function<void(std::function<void()> report)>;

    LightAgent(asio::any_io_executor ex, std::shared_ptr<Notifier> notifier,
               const std::filesystem::path& project)
        : ex_(std::move(ex)),
          notifier_(std::move(notifier)),
          trust_{git_files::common_dir_of(project), nullptr}
    {}

    void look_after(const std::vector<std::filesystem::path>& trees)
    {
        for (const auto& tree : trees) {
            const auto changed = [weak = weak_from_this(), ex = ex_, tree] {
                asio::post(ex, [weak, tree] {
                    if (const auto self = weak.lock()) self->look(tree);
                });
            };
            subscriptions_.push_back(notifier_->watch_commands(tree, changed));
        }
    }

    /// Lets its executor's context run out of work.
    void stop() { subscriptions_.clear(); }

    Delay delay;
    bool is_measured = true;  ///< Takes two system calls for each look.

    /// What its part of the work has cost.
    [[nodiscard]] seconds cpu() const noexcept { return cpu_; }

private:
    void look(const std::filesystem::path& tree)
    {
        // Its own claim, and what it writes there, are events, too.
        if (working_.contains(tree) || !handoff::AgentMailbox::may_have_command(tree)) return;
        const auto start = time();
        const auto work = std::make_shared<ClaimedCommand>();
        const bool ours = work->claim(tree, trust_);
        if (ours) working_.insert(tree);
        const auto report = [self = shared_from_this(), work, tree] {
            work->write_result();
            work->release();
            self->working_.erase(tree);
            self->notifier_->notify_report(tree);
        };
        if (ours && !delay) report();
        cpu_ += time() - start;
        if (ours && delay) delay(report);
    }

    [[nodiscard]] seconds time() const { return is_measured ? thread_cpu_time() : seconds{0}; }

    asio::any_io_executor ex_;
    std::shared_ptr<Notifier> notifier_;
    ClaimedCommand::Trust trust_;
    std::vector<Notifier::Subscription> subscriptions_;
    std::set<std::filesystem::path> working_;
    seconds cpu_{0};
};

}  // namespace autoexec::bench
