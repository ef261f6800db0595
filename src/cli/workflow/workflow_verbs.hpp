#pragma once

#include "cli/cli.hpp"

namespace CLI {
class App;
}

namespace autoexec::cli {

/// What `autoexec workflow` can do.
class WorkflowVerbs {
public:
    /// Defines them below `app`, which must outlive it.
    explicit WorkflowVerbs(CLI::App& app);
    WorkflowVerbs(const WorkflowVerbs&) = delete;
    WorkflowVerbs& operator=(const WorkflowVerbs&) = delete;

    /// Calls the one that was named.
    [[nodiscard]] int go() const;

private:
    void define_run();
    void define_resume();
    void define_files();
    void define_runs();
    void define_marks();

    CLI::App& run_verb_;
    CLI::App& resume_verb_;
    CLI::App& validate_verb_;
    CLI::App& graph_verb_;
    CLI::App& list_verb_;
    CLI::App& status_verb_;
    CLI::App& cancel_verb_;
    CLI::App& done_verb_;
    CLI::App& fail_verb_;
    WorkflowRunVerbOptions run_;
    WorkflowResumeVerbOptions resume_;
    WorkflowValidateOptions validate_;
    WorkflowGraphOptions graph_;
    WorkflowListOptions list_;
    WorkflowStatusOptions status_;
    WorkflowCancelOptions cancel_;
    WorkflowMarkOptions done_;
    WorkflowMarkOptions fail_;
};

}  // namespace autoexec::cli
