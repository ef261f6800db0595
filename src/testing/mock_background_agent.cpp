#include "autoexec/testing/mock_background_agent.hpp"

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

namespace autoexec::testing {
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

// Each attempt writes something new: an artifact counts only when it has changed.
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
        for (const auto& worktree : options.worktrees) places.emplace_back().worktree = worktree;
    }

    /// One worktree, and the command in hand there.
    struct Place {
        fs::path worktree;
        Notifier::Subscription subscription;
        std::unique_ptr<AgentMailbox> box;
        AgentMailbox::Found found;
        MockCommand command;
        std::unique_ptr<Timer> alarm;
        std::int64_t sequence = 0;
        std::string started_at;
        bool busy = false;
    };

    asio::awaitable<void> run(std::shared_ptr<Impl> keep);
    asio::awaitable<void> stop(std::shared_ptr<Impl> keep);
    asio::awaitable<void> answer(std::shared_ptr<Impl> keep, Place& place);
    asio::awaitable<void> play(Place& place, MockReply& reply);
    asio::awaitable<bool> wait(Place& place, time_point until, MockReply& reply);
    void look();
    void wake_all();
    [[nodiscard]] MockReply reply_to(const MockCommand& command) const;
    AgentStatus status(Place& place, ReportedStatus word) const;
    void write(Place& place, const AgentStatus& s);
    void report(Place& place, MockReply& reply);

    MockAgentOptions options;
    asio::strand<asio::any_io_executor> strand;
    std::string id;
    std::unique_ptr<Timer> alarm;
    std::deque<Place> places;
    std::size_t busy = 0;
    bool looping = false;
    bool stopping = false;
    std::vector<Timer*> until_idle;

    mutable std::mutex mutex;  // of what follows
    std::vector<MockCommand> taken;
    std::atomic<std::size_t> completed = 0;
    std::atomic<std::size_t> failed = 0;
};

asio::awaitable<void> MockBackgroundAgent::Impl::run(std::shared_ptr<Impl>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    looping = true;
    for (auto& place : places)
        place.subscription = options.notifier->watch(place.worktree, [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self) return;
            asio::post(self->strand, [weak] {
                if (const auto impl = weak.lock()) impl->wake_all();
            });
        });
    while (!stopping) {
        look();
        co_await alarm->wait_until(options.clock->now() + options.polling_interval);
    }
    for (auto& place : places) place.subscription.reset();
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
    for (const auto& place : places)
        if (place.alarm) place.alarm->wake();
    for (auto* const waiter : until_idle) waiter->wake();
}

void MockBackgroundAgent::Impl::look()
{
    for (auto& place : places) {
        if (place.busy) continue;
        place.box = AgentMailbox::open(place.worktree, options.status_file_name);
        if (!place.box) continue;
        place.found = place.box->find(options.accept_legacy);
        if (place.found.state != AgentMailbox::Found::State::command) continue;
        if (!place.box->claim(place.found, id)) continue;
        place.command = describe(place.worktree, place.found.command);
        place.alarm = options.clock->make_timer(strand);
        place.sequence = 0;
        place.started_at = text::iso_utc(options.clock->system_now());
        place.busy = true;
        ++busy;
        {
            const std::lock_guard lock(mutex);
            taken.push_back(place.command);
        }
        asio::co_spawn(strand, answer(shared_from_this(), place), asio::detached);
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

asio::awaitable<void> MockBackgroundAgent::Impl::answer(std::shared_ptr<Impl>, Place& place)
{
    auto reply = reply_to(place.command);
    co_await play(place, reply);
    report(place, reply);
    place.box.reset();
    place.busy = false;
    --busy;
    wake_all();
}

// From the first status to just before the last.
asio::awaitable<void> MockBackgroundAgent::Impl::play(Place& place, MockReply& reply)
{
    write(place, status(place, ReportedStatus::running));
    const auto start = options.clock->now();
    const auto parts = static_cast<std::int64_t>(reply.progress.size()) + 1;
    for (std::int64_t part = 1; part < parts; ++part) {
        const auto until = start + std::chrono::nanoseconds(reply.delay) * part / parts;
        if (!co_await wait(place, until, reply)) co_return;
        auto s = status(place, ReportedStatus::running);
        s.progress = reply.progress[static_cast<std::size_t>(part - 1)];
        write(place, s);
    }
    const bool ends = reply.outcome != MockOutcome::never;
    const auto end = ends ? start + reply.delay : time_point::max();
    if (!co_await wait(place, end, reply)) co_return;
    for (const auto& artifact : reply.artifacts) {
        if (const auto ec = write_artifact(place.worktree, artifact, place.command)) {
            reply = failure("mock_artifact", fmt::format("The artifact '{}' can't be written: {}.",
                                                         artifact, ec.message()));
            co_return;
        }
    }
}

// False when the command is cancelled, or the mock stopped, before that; the reply says so then.
asio::awaitable<bool> MockBackgroundAgent::Impl::wait(Place& place, time_point until,
                                                      MockReply& reply)
{
    for (;;) {
        if (const auto reason = place.box->cancel_reason(place.found.command)) {
            reply = failure(*reason, "The command was stopped.");
            co_return false;
        }
        if (stopping) {
            reply = failure("agent_stopped", "The command was stopped: its agent was stopped.");
            co_return false;
        }
        const auto now = options.clock->now();
        if (now >= until) co_return true;
        co_await place.alarm->wait_until(std::min(until, now + options.polling_interval));
    }
}

AgentStatus MockBackgroundAgent::Impl::status(Place& place, ReportedStatus word) const
{
    const auto& command = place.command;
    AgentStatus s;
    s.structured = true;
    s.status = word;
    s.started_at = place.started_at;
    s.workflow_id = command.workflow_id;
    s.step_id = command.step_id;
    if (!command.attempt_id.empty()) {
        s.execution_id = command.execution_id;
        s.attempt_id = command.attempt_id;
        s.attempt = command.attempt;
    }
    s.agent_id = id;
    s.sequence = ++place.sequence;
    return s;
}

void MockBackgroundAgent::Impl::write(Place& place, const AgentStatus& s)
{
    // A worktree that is gone is the engine's to notice.
    (void)place.box->write_status(protocol::format_status(s));
    options.notifier->notify(place.worktree);
}

void MockBackgroundAgent::Impl::report(Place& place, MockReply& reply)
{
    const bool well = reply.outcome == MockOutcome::complete;
    auto s = status(place, well ? ReportedStatus::completed : ReportedStatus::failed);
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
    // In this order, as an engine may publish its next command once the claim is free.
    place.box->remove_command(place.found);
    (void)place.box->write_status(protocol::format_status(s));
    place.box->release(place.command.attempt_id.empty());
    ++(well ? completed : failed);
    options.notifier->notify(place.worktree);
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

asio::awaitable<void> MockBackgroundAgent::async_stop()
{
    return asio::co_spawn(impl_->strand, impl_->stop(impl_), asio::use_awaitable);
}

std::vector<MockCommand> MockBackgroundAgent::commands() const
{
    const std::lock_guard lock(impl_->mutex);
    return impl_->taken;
}

std::size_t MockBackgroundAgent::completed() const
{
    return impl_->completed;
}

std::size_t MockBackgroundAgent::failed() const
{
    return impl_->failed;
}

}  // namespace autoexec::testing
