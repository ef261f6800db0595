#pragma once

#include "autoexec/config.hpp"
#include "autoexec/workflow_executor.hpp"
#include "cli/cli.hpp"
#include "cli/session/assign.hpp"
#include "cli/session/session.hpp"
#include "cli/workflow/workflow_display.hpp"
#include "workflow/journal/journal.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// One run of a workflow, and what a person sees of it.
class LiveWorkflow {
public:
    /// A run to go on with.
    struct Resumption {
        std::string run_id;
        WorkflowResumeOptions what;
        std::vector<workflow::StepRecord> steps;  ///< As they stand.
    };

    /// All that is referred to must outlive it. Without a resumption it is a new run.
    LiveWorkflow(const WorkflowPlayOptions& options, AutoExecutionConfigManager& manager,
                 const Agents& agents, Workflow workflow, WorkflowRunOptions run,
                 std::optional<Resumption> resumption = {});

    /// To its end; gives the exit code.
    int go();

private:
    WorkflowExecutorOptions executor_options(AutoExecutionConfigManager& manager);
    asio::awaitable<void> work();
    void show(const WorkflowEvent& event);
    void show_as_it_is(const WorkflowEvent& event);
    void print(const WorkflowEvent& event) const;
    void explain(const WorkflowEvent& event) const;
    static void print_warnings(const StepResult& result);
    void call_on_person(const WorkflowEvent& event) const;
    void conclude() const;
    [[nodiscard]] int exit_code() const;

    const WorkflowPlayOptions& options_;
    const Agents& agents_;
    Workflow workflow_;
    WorkflowRunOptions run_;
    std::optional<Resumption> resumption_;
    std::shared_ptr<WorkflowDisplay> display_;
    Engine engine_;
    WorkflowExecutor executor_;
    asio::cancellation_signal cancel_;
    error_code ec_;
    WorkflowResult result_;
};

}  // namespace autoexec::cli
