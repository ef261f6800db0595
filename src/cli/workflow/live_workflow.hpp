#pragma once

#include "async/short_names.hpp"
#include "autoexec/config.hpp"
#include "autoexec/workflow_executor.hpp"
#include "cli/session/agents.hpp"
#include "cli/session/command_session.hpp"
#include "cli/workflow/workflow_display.hpp"
#include "cli/workflow/workflow_flags.hpp"
#include "workflow/journal/journal.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// Runs or resumes a workflow, and prints its progress and results.
class LiveWorkflow {
public:
    /// The run to resume.
    struct Resumption {
        std::string run_id;
        WorkflowResumeOptions what;
        std::vector<workflow::StepRecord> steps;  ///< Their current state.
    };

    /// Keeps references to `options`, `manager` and `agents`. Without a resumption, starts a new
    /// run.
    LiveWorkflow(const WorkflowFlags& options, AutoExecutionConfigManager& manager,
                 const Agents& agents, Workflow workflow, WorkflowRunOptions run,
                 std::optional<Resumption> resumption = {});

    /// Runs to the end; returns the exit code.
    int run();

private:
    WorkflowExecutorOptions executor_options(AutoExecutionConfigManager& manager);
    asio::awaitable<void> work();
    void show(const WorkflowEvent& event);
    void show_now(const WorkflowEvent& event);
    void print(const WorkflowEvent& event) const;
    void explain(const WorkflowEvent& event) const;
    static void print_warnings(const StepResult& result);
    void print_manual_step(const WorkflowEvent& event) const;
    void conclude() const;
    [[nodiscard]] int exit_code() const;

    const WorkflowFlags& options_;
    const Agents& agents_;
    Workflow workflow_;
    WorkflowRunOptions run_;
    std::optional<Resumption> resumption_;
    std::shared_ptr<WorkflowDisplay> display_;
    CommandSession session_;
    WorkflowExecutor executor_;
    asio::cancellation_signal cancel_;
    error_code ec_;
    WorkflowResult result_;
};

}  // namespace autoexec::cli
