#pragma once

#include "support/project.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

namespace autoexec::test {

/// A project with one agent, which does what the test says, step by step: `on` gives a step a
/// script, and without one it only leaves an empty results file where it is asked for one. What it
/// was asked for is remembered.
class WorkflowProject : public Project {
public:
    /// Further fields of the agent, each `name: value`.
    explicit WorkflowProject(const Words& agent = {});
    ~WorkflowProject();
    WorkflowProject(const WorkflowProject&) = delete;
    WorkflowProject& operator=(const WorkflowProject&) = delete;

    /// In the script, `$results` is the results file, `$tries` how often the step was asked for,
    /// this time included, and `$stage` a folder outside of all worktrees.
    void on(const std::string& step, std::string_view script) const;

    void workflow(std::string_view text) const { write("workflow.yaml", text); }
    /// With an id, and the steps in the flow style of YAML, one each.
    void steps(const Words& steps) const;

    /// In place, unless something else is said.
    [[nodiscard]] static Words run_words(const Words& more);
    Ended run_workflow(const Words& more = {}) const { return run(run_words(more)); }
    [[nodiscard]] Start start_workflow(const Words& more = {}) const;

    /// The steps that the agent was asked for, in this order, with a space between them.
    [[nodiscard]] std::string asked() const;
    /// The texts that it got.
    [[nodiscard]] Words commands() const { return lines_of(read_file(stage() / "commands")); }
    [[nodiscard]] fs::path stage() const { return root().parent_path() / "stage"; }

    void wait_until_asked(const std::string& step) const;

    /// What a second process sees of the newest run; empty if there is none.
    [[nodiscard]] boost::json::object newest_run() const;
    [[nodiscard]] std::string state_of_step(std::string_view id) const;
    void wait_for_state(const std::string& step, const std::string& state) const;
};

/// The ids of the steps whose lines on standard output say so, in their order.
std::string steps_with(const Ended& ended, std::string_view state);

}  // namespace autoexec::test
