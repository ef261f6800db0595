#pragma once

#include "autoexec/ports.hpp"

#include "async/short_names.hpp"
#include "handoff/agent_mailbox.hpp"
#include "measure.hpp"
#include "protocol/control_files.hpp"
#include "protocol/status.hpp"
#include "text/text.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace autoexec::bench {

/// An agent that speaks all of the protocol and runs nothing: claim, one final status, done.
/// Everything on its executor, which has one thread.
class LightAgent : public std::enable_shared_from_this<LightAgent> {
public:
    /// When to report, and what to do right before and after. Null: at once.
    using Delay = std::function<void(std::function<void()> report)>;

    LightAgent(asio::any_io_executor ex, std::shared_ptr<Notifier> notifier)
        : ex_(std::move(ex)), notifier_(std::move(notifier))
    {}

    void look_after(const std::vector<std::filesystem::path>& trees)
    {
        for (const auto& tree : trees) {
            const auto changed = [weak = weak_from_this(), ex = ex_, tree] {
                asio::post(ex, [weak, tree] {
                    if (const auto self = weak.lock()) self->look(tree);
                });
            };
            subscriptions_.push_back(notifier_->watch(tree, changed));
        }
    }

    Delay delay;
    /// Right after the rename that makes the status visible.
    std::function<void(const std::string& execution_id)> reported;

    /// What its part of the work has cost.
    [[nodiscard]] seconds cpu() const noexcept { return cpu_; }

private:
    struct Work {
        std::filesystem::path tree;
        std::unique_ptr<handoff::AgentMailbox> box;
        handoff::AgentMailbox::Found found;
    };

    void look(const std::filesystem::path& tree)
    {
        const auto start = thread_cpu_time();
        const auto work = std::make_shared<Work>();
        work->tree = tree;
        work->box = handoff::AgentMailbox::open(tree, control_files::status);
        work->found = work->box->find(false);
        const bool ours = work->found.state == handoff::AgentMailbox::Found::State::command &&
                          work->box->claim(work->found, "light");
        if (ours && !delay) report(*work);
        cpu_ += thread_cpu_time() - start;
        if (ours && delay) delay([self = shared_from_this(), work] { self->report(*work); });
    }

    void report(Work& work)
    {
        const auto& command = work.found.command;
        AgentStatus status;
        status.structured = true;
        status.status = ReportedStatus::completed;
        status.ids() = command.ids();
        status.exit_code = 0;
        status.sequence = 1;
        status.completed_at = std::chrono::system_clock::now();
        work.box->remove_command(work.found);
        (void)work.box->write_status(protocol::format_status(status));
        if (reported) reported(command.execution_id);
        work.box->release(false);
        notifier_->notify(work.tree);
    }

    asio::any_io_executor ex_;
    std::shared_ptr<Notifier> notifier_;
    std::vector<Notifier::Subscription> subscriptions_;
    seconds cpu_{0};
};

}  // namespace autoexec::bench
