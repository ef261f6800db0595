#include "autoexec/testing/mock_background_agent.hpp"

#include "async/launch.hpp"
#include "async/short_names.hpp"
#include "handoff/agent_mailbox.hpp"
#include "protocol/status.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <fmt/format.h>

#include <atomic>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>

namespace autoexec::inline v1::testing {
namespace {

namespace fs = std::filesystem;
using handoff::AgentMailbox;

MockCommand describe(const fs::path& worktree, const protocol::CommandFile& file)
{
    MockCommand c;
    c.worktree = worktree;
    c.command = file.command;
    c.argv = file.argv;
    c.env_refs = file.env_refs;
    c.expected_artifacts = file.expected_artifacts;
    c.agent = file.agent;
    c.workflow_id = file.workflow_id;
    c.step_id = file.step_id;
    c.execution_id = file.execution_id;
    c.attempt_id = file.attempt_id;
    c.attempt = file.attempt;
    return c;
}

MockReply failure(std::string code, std::string message)
{
    MockReply reply;
    reply.outcome = MockOutcome::fail;
    reply.error = {std::move(message), std::move(code), false, 0};
    return reply;
}

// Each attempt writes different content: an artifact counts only if it has changed.
error_code write_artifact(const fs::path& worktree, const fs::path& artifact,
                          const MockCommand& command)
{
    const files::UniqueFd folder(::open(worktree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return files::last_error();
    if (!artifact.has_filename()) return make_error_code(boost::system::errc::is_a_directory);
    error_code ec;
    const auto parent = files::make_folders(folder.get(), artifact.parent_path(), ec);
    if (!parent) return ec;
    const auto text =
        fmt::format("made by a mock agent: {}\n{}\n", command.command, command.attempt_id);
    return files::replace_file(parent.get(), artifact.filename().string(), text, 0644,
                               Durability::none);
}

}  // namespace

struct MockBackgroundAgent::Impl : std::enable_shared_from_this<Impl> {
    Impl(asio::any_io_executor ex, MockAgentOptions o)
        : options(std::move(o)),
          strand(ex),
          id(fmt::format("mock-{}", text::new_uuid())),
          alarm(options.clock->make_timer(strand))
    {
        for (const auto& worktree : options.worktrees)
            mock_worktrees.emplace_back().worktree = worktree;
    }

    /// One worktree and its current command.
    struct MockWorktree {
        fs::path worktree;
        Notifier::Subscription subscription;
        std::unique_ptr<AgentMailbox> mailbox;
        AgentMailbox::Found found;
        MockCommand command;
        std::unique_ptr<Timer> alarm;
        std::int64_t sequence = 0;
        std::string started_at;
        bool busy = false;
    };

    asio::awaitable<void> run(std::shared_ptr<Impl> keep);
    asio::awaitable<void> stop(std::shared_ptr<Impl> keep);
    asio::awaitable<void> answer(std::shared_ptr<Impl> keep, MockWorktree& mock_worktree);
    asio::awaitable<void> play(MockWorktree& mock_worktree, MockReply& reply);
    asio::awaitable<bool> wait(MockWorktree& mock_worktree, time_point until, MockReply& reply);
    void scan();
    void wake_all();
    [[nodiscard]] MockReply reply_to(const MockCommand& command) const;
    AgentStatus status(MockWorktree& mock_worktree, ReportedStatus word) const;
    void write(MockWorktree& mock_worktree, const AgentStatus& s);
    void report(MockWorktree& mock_worktree, MockReply& reply);

    MockAgentOptions options;
    asio::strand<asio::any_io_executor> strand;
    std::string id;
    std::unique_ptr<Timer> alarm;
    std::deque<MockWorktree> mock_worktrees;
    std::size_t busy = 0;
    bool looping = false;
    bool stopping = false;
    std::vector<Timer*> until_idle;

    mutable std::mutex mutex;  // of the statements that follow
    std::vector<MockCommand> claimed;
    std::atomic<std::size_t> completed = 0;
    std::atomic<std::size_t> failed = 0;
};

asio::awaitable<void> MockBackgroundAgent::Impl::run(std::shared_ptr<Impl>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    looping = true;
    for (auto& mock_worktree : mock_worktrees)
        mock_worktree.subscription =
            options.notifier->watch(mock_worktree.worktree, [weak = weak_from_this()] {
                const auto self = weak.lock();
                if (!self) return;
                asio::post(self->strand, [weak] {
                    if (const auto impl = weak.lock()) impl->wake_all();
                });
            });
    while (!stopping) {
        scan();
        co_await alarm->wait_until(options.clock->now() + options.polling_interval);
    }
    for (auto& mock_worktree : mock_worktrees) mock_worktree.subscription.reset();
    looping = false;
    wake_all();
}

asio::awaitable<void> MockBackgroundAgent::Impl::stop(std::shared_ptr<Impl>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    stopping = true;
    wake_all();
    const auto idle = options.clock->make_timer(strand);
    until_idle.push_back(idle.get());
    while (busy > 0 || looping) co_await idle->wait_until(time_point::max());
    std::erase(until_idle, idle.get());
}

void MockBackgroundAgent::Impl::wake_all()
{
    alarm->wake();
    for (const auto& mock_worktree : mock_worktrees)
        if (mock_worktree.alarm) mock_worktree.alarm->wake();
    for (auto* const waiter : until_idle) waiter->wake();
}

void MockBackgroundAgent::Impl::scan()
{
    for (auto& mock_worktree : mock_worktrees) {
        if (mock_worktree.busy) continue;
        mock_worktree.mailbox =
            AgentMailbox::open(mock_worktree.worktree, options.status_file_name);
        if (!mock_worktree.mailbox) continue;
        mock_worktree.found = mock_worktree.mailbox->find(options.accept_legacy);
        if (mock_worktree.found.state != AgentMailbox::Found::State::command) continue;
        if (!mock_worktree.mailbox->claim(mock_worktree.found, id)) continue;
        mock_worktree.command = describe(mock_worktree.worktree, mock_worktree.found.command);
        mock_worktree.alarm = options.clock->make_timer(strand);
        mock_worktree.sequence = 0;
        mock_worktree.started_at = text::iso_utc(options.clock->system_now());
        mock_worktree.busy = true;
        ++busy;
        {
            const std::lock_guard lock(mutex);
            claimed.push_back(mock_worktree.command);
        }
        asio::co_spawn(strand, answer(shared_from_this(), mock_worktree), asio::detached);
    }
}

MockReply MockBackgroundAgent::Impl::reply_to(const MockCommand& command) const
{
    if (!options.on_command) return options.reply;
    try {
        return options.on_command(command);
    } catch (const std::exception& e) {
        return failure("mock_threw", e.what());
    }
}

asio::awaitable<void> MockBackgroundAgent::Impl::answer(std::shared_ptr<Impl>,
                                                        MockWorktree& mock_worktree)
{
    auto reply = reply_to(mock_worktree.command);
    co_await play(mock_worktree, reply);
    report(mock_worktree, reply);
    mock_worktree.mailbox.reset();
    mock_worktree.busy = false;
    --busy;
    wake_all();
}

// From the first status to just before the last.
asio::awaitable<void> MockBackgroundAgent::Impl::play(MockWorktree& mock_worktree, MockReply& reply)
{
    write(mock_worktree, status(mock_worktree, ReportedStatus::running));
    const auto start = options.clock->now();
    const auto parts = static_cast<std::int64_t>(reply.progress.size()) + 1;
    for (std::int64_t part = 1; part < parts; ++part) {
        const auto until = start + std::chrono::nanoseconds(reply.delay) * part / parts;
        if (!co_await wait(mock_worktree, until, reply)) co_return;
        auto s = status(mock_worktree, ReportedStatus::running);
        s.progress = reply.progress[static_cast<std::size_t>(part - 1)];
        write(mock_worktree, s);
    }
    const bool ends = reply.outcome != MockOutcome::never;
    const auto end = ends ? start + reply.delay : time_point::max();
    if (!co_await wait(mock_worktree, end, reply)) co_return;
    for (const auto& artifact : reply.artifacts) {
        if (const auto ec =
                write_artifact(mock_worktree.worktree, artifact, mock_worktree.command)) {
            reply = failure("mock_artifact", fmt::format("The artifact '{}' cannot be written: {}.",
                                                         artifact, ec.message()));
            co_return;
        }
    }
}

// Returns false, with an error in the reply, if the command is cancelled or the mock is stopped
// before then.
asio::awaitable<bool> MockBackgroundAgent::Impl::wait(MockWorktree& mock_worktree, time_point until,
                                                      MockReply& reply)
{
    for (;;) {
        if (const auto reason = mock_worktree.mailbox->cancel_reason(mock_worktree.found.command)) {
            reply = failure(*reason, "The command was stopped.");
            co_return false;
        }
        if (stopping) {
            reply = failure("agent_stopped", "The command was stopped: its agent was stopped.");
            co_return false;
        }
        const auto now = options.clock->now();
        if (now >= until) co_return true;
        co_await mock_worktree.alarm->wait_until(std::min(until, now + options.polling_interval));
    }
}

AgentStatus MockBackgroundAgent::Impl::status(MockWorktree& mock_worktree,
                                              ReportedStatus word) const
{
    const auto& command = mock_worktree.command;
    AgentStatus s;
    s.structured = true;
    s.status = word;
    s.started_at = mock_worktree.started_at;
    s.workflow_id = command.workflow_id;
    s.step_id = command.step_id;
    if (!command.attempt_id.empty()) {
        s.execution_id = command.execution_id;
        s.attempt_id = command.attempt_id;
        s.attempt = command.attempt;
    }
    s.agent_id = id;
    s.sequence = ++mock_worktree.sequence;
    return s;
}

void MockBackgroundAgent::Impl::write(MockWorktree& mock_worktree, const AgentStatus& s)
{
    // The executor detects a removed worktree.
    (void)mock_worktree.mailbox->write_status(protocol::format_status(s));
    options.notifier->notify(mock_worktree.worktree);
}

void MockBackgroundAgent::Impl::report(MockWorktree& mock_worktree, MockReply& reply)
{
    const bool well = reply.outcome == MockOutcome::complete;
    auto s = status(mock_worktree, well ? ReportedStatus::completed : ReportedStatus::failed);
    s.completed_at = text::iso_utc(options.clock->system_now());
    s.exit_code = reply.exit_code;
    if (!reply.output.empty()) s.output = reply.output;
    if (well) {
        s.outcome = "completed";
        s.artifacts = reply.artifacts;
    } else {
        const auto& code = reply.error.code;
        s.outcome = code == "cancelled" || code == "timeout" ? code : "failed";
        s.error = reply.error;
    }
    // In this order, because an executor may publish its next command when the claim is free.
    mock_worktree.mailbox->remove_command(mock_worktree.found);
    (void)mock_worktree.mailbox->write_status(protocol::format_status(s));
    mock_worktree.mailbox->release(mock_worktree.command.attempt_id.empty());
    ++(well ? completed : failed);
    options.notifier->notify(mock_worktree.worktree);
}

MockBackgroundAgent::MockBackgroundAgent(asio::any_io_executor ex, MockAgentOptions options)
{
    if (!options.clock) options.clock = system_clock();
    if (!options.notifier) options.notifier = null_notifier();
    impl_ = std::make_shared<Impl>(std::move(ex), std::move(options));
}

MockBackgroundAgent::~MockBackgroundAgent() = default;

asio::awaitable<void> MockBackgroundAgent::run()
{
    return asio::co_spawn(impl_->strand, impl_->run(impl_), asio::use_awaitable);
}

asio::awaitable<void> MockBackgroundAgent::stop()
{
    return asio::co_spawn(impl_->strand, impl_->stop(impl_), asio::use_awaitable);
}

void MockBackgroundAgent::start_run(std::shared_ptr<Impl> impl, Handler handler)
{
    auto& i = *impl;
    async::launch(i.strand, async::no_error(i.run(std::move(impl))), std::move(handler));
}

void MockBackgroundAgent::start_stop(std::shared_ptr<Impl> impl, Handler handler)
{
    auto& i = *impl;
    async::launch(i.strand, async::no_error(i.stop(std::move(impl))), std::move(handler));
}

asio::any_io_executor MockBackgroundAgent::get_executor() const noexcept
{
    return impl_->strand.get_inner_executor();
}

std::vector<MockCommand> MockBackgroundAgent::commands() const
{
    const std::lock_guard lock(impl_->mutex);
    return impl_->claimed;
}

std::size_t MockBackgroundAgent::completed() const
{
    return impl_->completed;
}

std::size_t MockBackgroundAgent::failed() const
{
    return impl_->failed;
}

}  // namespace autoexec::inline v1::testing
