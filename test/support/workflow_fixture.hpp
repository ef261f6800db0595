#pragma once

#include "async/short_names.hpp"
#include "autoexec/workflow_executor.hpp"
#include "support/executor_fixture.hpp"
#include "support/workflows.hpp"
#include "workflow/journal/journal.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

/// What a scripted agent does with a step's command.
struct Reply {
    std::chrono::nanoseconds after = std::chrono::seconds{1};
    ReportedStatus status = ReportedStatus::completed;
    std::optional<bool> retryable = {};
    std::vector<std::string> creates = {};
    bool never = false;
};

/// Runs of workflows in virtual time, by an executor over worktrees in memory. What a gate reads is
/// in real folders of the same names.
struct WorkflowFixture {
    WorkflowFixture();
    virtual ~WorkflowFixture();

    /// A worktree below the project's folder; the project's folder itself for "".
    MemoryTree& tree_at(const std::string& name);

    /// The agent: looks up what to do by the step, and does it when its time has come.
    void answer(MemoryTree& tree);

    virtual void note(const WorkflowEvent& event);

    void make();

    void start(Workflow w);

    /// Runs a workflow to its end.
    const WorkflowResult& run(Workflow w);

    [[nodiscard]] const StepResult& of(std::string_view id) const;

    [[nodiscard]] workflow::RunRecord journal() const;

    TemporaryFolder project;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<MemoryHandoff> handoff = std::make_shared<MemoryHandoff>();
    ExecutorOptions engine_options;
    WorkflowExecutorOptions options;
    WorkflowRunOptions run_options;

    std::map<std::string, Reply> replies;  ///< By step; what is not here completes after a second.
    std::function<Reply(const std::string& step)> on_command;
    std::vector<std::string> commands;  ///< As they were published.
    std::vector<std::string> story;     ///< `+a` started, `a completed` ended, `-b` skipped …

    int results = 0;
    error_code ec;
    WorkflowResult result;

    asio::io_context ctx;
    asio::cancellation_signal cancel;  // after ctx: its slot may hold a strand of ctx
    std::unique_ptr<BackgroundAgentAutoExecutor> engine;
    std::unique_ptr<WorkflowExecutor> executor;
};

}  // namespace autoexec::test
