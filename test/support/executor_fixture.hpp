#pragma once

#include "async/short_names.hpp"
#include "autoexec/executor.hpp"
#include "autoexec/notifier.hpp"
#include "files/safe_files.hpp"
#include "protocol/running_files.hpp"
#include "support/memory_handoff.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::test {

/// All that was published, for tests to look at.
struct RecordingSink final : EventSink {
    std::vector<Event> events;
    void publish(const Event& event) override;

    [[nodiscard]] std::size_t count(EventType type) const;
    [[nodiscard]] std::vector<ExecutionMetric> metrics() const;
};

/// As an executor that was killed leaves it.
void leave_record(const std::filesystem::path& project, const protocol::RunningRecord& record);

/// The record of an executor of version 1.1, which locks each by itself.
class UnsharedRecord {
public:
    UnsharedRecord(const std::filesystem::path& project, const protocol::RunningRecord& record);

private:
    files::UniqueFd file_;
};

/// Notifies as a local notifier does, and covers as much as the test says.
struct CoveringNotifier final : Notifier {
    std::shared_ptr<Notifier> local = local_notifier();
    Coverage covers = Coverage::all;
    std::string why;  ///< It does not cover it.

    Subscription watch(const std::filesystem::path& tree, std::function<void()> changed) override
    {
        return local->watch(tree, std::move(changed));
    }
    void notify(const std::filesystem::path& tree) override { local->notify(tree); }
    Coverage coverage(const std::filesystem::path&) const override { return covers; }
    std::string problem(const std::filesystem::path&) const override { return why; }
};

/// One executor over worktrees in memory, in virtual time.
struct ExecutorFixture {
    ExecutorFixture();
    ~ExecutorFixture();

    TemporaryFolder project;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<MemoryHandoff> handoff = std::make_shared<MemoryHandoff>();
    std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
    MemoryTree& tree = handoff->at("/tree");
    ExecutorOptions options = plain_options();

    int results = 0;
    error_code ec;
    ExecutionResult result;

    asio::io_context ctx;              // after all that coroutines refer to
    asio::cancellation_signal cancel;  // after ctx: its slot may hold a strand of ctx
    std::unique_ptr<BackgroundAgentAutoExecutor> executor;

    // Polling at exactly 5 s, nothing written: each test turns on what it is about.
    ExecutorOptions plain_options();

    BackgroundAgentAutoExecutor& make();

    static CommandRequest request(std::string command = "build");

    void start(CommandRequest r);

    /// Runs one command to its end. What must hold for every way to end is checked here.
    void execute(CommandRequest r);
    void execute();

    void check_end();
};

}  // namespace autoexec::test
