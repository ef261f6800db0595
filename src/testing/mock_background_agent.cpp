#include "autoexec/testing/mock_background_agent.hpp"

#include "async/short_names.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <exception>
#include <mutex>
#include <string_view>
#include <utility>

namespace autoexec::inline v1::testing {
namespace {

namespace fs = std::filesystem;

ProcessReport failure(std::string code, std::string message)
{
    return {false, {std::move(message), std::move(code), false, 0}};
}

// The variable that the agent sets for each program.
std::string_view worktree_of(const ProcessSpec& spec)
{
    constexpr std::string_view name = "AUTOEXEC_WORKTREE=";
    const auto& all = spec.environment;
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](std::string_view v) { return v.starts_with(name); });
    return found == all.end() ? "" : std::string_view(*found).substr(name.size());
}

AgentOptions agent_options(const MockAgentOptions& mock, std::shared_ptr<Spawner> spawner)
{
    AgentOptions o;
    auto& definition = o.agents.agents.emplace_back();
    definition.name = "mock";
    definition.commands = {"mock {command_file_path}"};
    definition.accept_argv = true;
    o.agents.accept_legacy = mock.accept_legacy;
    o.accept_any_name = true;
    o.alone = true;
    o.status_file_name = mock.status_file_name;
    o.worktrees = mock.worktrees;
    o.find_worktrees = false;
    o.scan_interval = mock.polling_interval;
    o.max_output_bytes = 0;
    o.clock = mock.clock;
    o.notifier = mock.notifier;
    o.offers = mock.offers;
    o.spawner = std::move(spawner);
    return o;
}

MockAgentOptions with_clock(MockAgentOptions options)
{
    if (!options.clock) options.clock = system_clock();
    return options;
}

}  // namespace

/// The spawner below the agent: instead of programs it runs replies.
struct MockBackgroundAgent::Script final : Spawner, std::enable_shared_from_this<Script> {
    explicit Script(MockAgentOptions o) : options(std::move(o)) {}

    std::unique_ptr<Process> spawn(const asio::any_io_executor& ex, const ProcessSpec& spec,
                                   error_code& ec, std::string& why) override;

    const MockAgentOptions options;
    std::mutex mutex;  // of the commands
    std::vector<MockCommand> commands;
    std::atomic<std::size_t> completed = 0;
    std::atomic<std::size_t> failed = 0;
};

/// A program that consists of a reply.
class MockBackgroundAgent::Performance final : public Process {
public:
    Performance(const asio::any_io_executor& ex, std::shared_ptr<Script> script,
                MockCommand command)
        : script_(std::move(script)),
          command_(std::move(command)),
          alarm_(script_->options.clock->make_timer(ex))
    {
        try {
            const auto& options = script_->options;
            reply_ = options.on_command ? options.on_command(command_) : options.reply;
        } catch (const std::exception& e) {
            threw_ = failure("mock_threw", e.what());
        }
    }

    void on_progress(std::function<void(Progress)> report) override { report_ = std::move(report); }

    void on_question(std::function<void(std::optional<Question>)> report) override
    {
        ask_ = std::move(report);
    }

    void answer(const Answer& answer) override
    {
        answer_ = answer;
        if (reply_.on_answer) reply_.on_answer(answer);
        alarm_->wake();
    }

    asio::awaitable<ProcessExit> wait(
        std::function<void(OutputStream, std::string_view)> output) override
    {
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        ProcessExit exit;
        if (!threw_) co_await play();
        if (stopped_) {
            exit.signal = SIGTERM;
        } else {
            exit.report = threw_ ? *threw_ : end();
            exit.exit_code = reply_.exit_code;
            if (!reply_.output.empty()) output(OutputStream::standard_output, reply_.output);
        }
        ++(exit.report && exit.report->completed ? script_->completed : script_->failed);
        co_return exit;
    }

    void stop() noexcept override
    {
        stopped_ = true;
        alarm_->wake();
    }

    std::int64_t pid() const noexcept override { return 0; }

private:
    // The time from the start to the end, with the reports of progress.
    asio::awaitable<void> play()
    {
        const auto start = script_->options.clock->now();
        const auto parts = static_cast<std::int64_t>(reply_.progress.size()) + 1;
        for (std::int64_t part = 1; part < parts; ++part) {
            co_await sleep_until(start + std::chrono::nanoseconds(reply_.delay) * part / parts);
            if (stopped_) co_return;
            report_(reply_.progress[static_cast<std::size_t>(part - 1)]);
        }
        const bool ends = reply_.outcome != MockOutcome::never;
        const auto end = ends ? start + reply_.delay : time_point::max();
        co_await sleep_until(end);
        if (stopped_ || !reply_.question) co_return;
        ask_(reply_.question);
        while (!stopped_ && !answer_) co_await alarm_->wait_until(time_point::max());
    }

    asio::awaitable<void> sleep_until(time_point end)
    {
        while (!stopped_ && script_->options.clock->now() < end) co_await alarm_->wait_until(end);
    }

    // Each attempt writes different content: an artifact counts only if it has changed.
    ProcessReport end() const
    {
        const auto text =
            fmt::format("made by a mock agent: {}\n{}\n", command_.command, command_.attempt_id);
        for (const auto& artifact : reply_.artifacts) {
            try {
                write_file(command_.worktree, artifact, text);
            } catch (const system_error& e) {
                return failure("mock_artifact",
                               fmt::format("The artifact '{}' cannot be written: {}.", artifact,
                                           e.code().message()));
            }
        }
        const bool asked = reply_.question && reply_.question->kind == QuestionKind::permission;
        if (asked && answer_->denies())
            return failure("permission_needed", "The permission was denied.");
        return {reply_.outcome == MockOutcome::complete, reply_.error};
    }

    std::shared_ptr<Script> script_;
    MockCommand command_;
    MockReply reply_;
    std::optional<ProcessReport> threw_;
    std::unique_ptr<Timer> alarm_;
    std::function<void(Progress)> report_;
    std::function<void(std::optional<Question>)> ask_;
    std::optional<Answer> answer_;
    bool stopped_ = false;
};

// The command is read from its file, as by any program: an argument would limit its length.
std::unique_ptr<Process> MockBackgroundAgent::Script::spawn(const asio::any_io_executor& ex,
                                                            const ProcessSpec& spec, error_code& ec,
                                                            std::string& why)
{
    const fs::path worktree = worktree_of(spec);
    auto command = read_command_file(worktree);
    if (!command) {
        ec = make_error_code(boost::system::errc::no_such_file_or_directory);
        why = fmt::format("The command in {} was withdrawn.", worktree.string());
        return nullptr;
    }
    {
        const std::lock_guard lock(mutex);
        commands.push_back(*command);
    }
    return std::make_unique<Performance>(ex, shared_from_this(), *std::move(command));
}

MockBackgroundAgent::MockBackgroundAgent(asio::any_io_executor ex, MockAgentOptions options)
    : script_(std::make_shared<Script>(with_clock(std::move(options)))),
      agent_(std::move(ex), agent_options(script_->options, script_))
{}

MockBackgroundAgent::~MockBackgroundAgent() = default;

std::vector<MockCommand> MockBackgroundAgent::commands() const
{
    const std::lock_guard lock(script_->mutex);
    return script_->commands;
}

std::size_t MockBackgroundAgent::completed() const
{
    return script_->completed;
}

std::size_t MockBackgroundAgent::failed() const
{
    return script_->failed;
}

}  // namespace autoexec::inline v1::testing
