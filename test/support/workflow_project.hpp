#pragma once

#include "support/project.hpp"

#include <doctest/doctest.h>
#include <boost/json/array.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace autoexec::test {

/// With a space between them.
inline std::string joined(const Words& words)
{
    std::string all;
    for (const auto& word : words) all += (all.empty() ? "" : " ") + word;
    return all;
}

/// A project with one agent, which does what the test says, step by step: `on` gives a step a
/// script, and without one it only leaves an empty results file where it is asked for one. What it
/// was asked for is remembered.
class WorkflowProject : public Project {
public:
    /// Further fields of the agent, each `name: value`.
    explicit WorkflowProject(const Words& agent = {})
    {
        write_file(stage() / "agent", agent_script);
        add_agent("scripted", "/bin/sh '" + (stage() / "agent").string() + "' {command} {step_id}",
                  agent);
    }
    ~WorkflowProject()
    {
        const auto wishes = names_in(records() / "workflow-state/cancel");
        CHECK_MESSAGE(wishes.empty(), "a wish to cancel is left");
    }
    WorkflowProject(const WorkflowProject&) = delete;
    WorkflowProject& operator=(const WorkflowProject&) = delete;

    /// In the script, `$results` is the results file, `$tries` how often the step was asked for,
    /// this time included, and `$stage` a folder outside of all worktrees.
    void on(const std::string& step, std::string_view script) const
    {
        write_file(stage() / ("on-" + step), script);
    }

    void workflow(std::string_view text) const { write("workflow.yaml", text); }
    /// With an id, and the steps in the flow style of YAML, one each.
    void steps(const Words& steps) const
    {
        std::string text = "id: w\nsteps:\n";
        for (const auto& step : steps) text += "  - {" + step + "}\n";
        workflow(text);
    }

    /// In place, unless something else is said.
    [[nodiscard]] static Words run_words(const Words& more)
    {
        Words words = {"workflow", "run", "workflow.yaml"};
        const bool has_place = std::any_of(more.begin(), more.end(), [](const auto& word) {
            return word == "-w" || word == "--worktree";
        });
        if (!has_place) words.emplace_back("--in-place");
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    Ended run_workflow(const Words& more = {}) const { return run(run_words(more)); }
    [[nodiscard]] Start start_workflow(const Words& more = {}) const
    {
        return start(run_words(more));
    }

    /// The steps that the agent was asked for, in this order, with a space between them.
    [[nodiscard]] std::string asked() const
    {
        return joined(lines_of(read_file(stage() / "asked")));
    }
    /// The texts that it got.
    [[nodiscard]] Words commands() const { return lines_of(read_file(stage() / "commands")); }
    [[nodiscard]] fs::path stage() const { return root().parent_path() / "stage"; }

    void wait_until_asked(const std::string& step) const
    {
        REQUIRE(eventually([&] { return contains(" " + asked() + " ", " " + step + " "); }));
    }

    /// What a second process sees of the newest run; empty if there is none.
    [[nodiscard]] boost::json::object newest_run() const
    {
        const auto runs = objects_of(run({"workflow", "status", "--json"}).out);
        return runs.empty() ? boost::json::object() : runs.front();
    }
    [[nodiscard]] std::string state_of_step(std::string_view id) const
    {
        const auto run = newest_run();
        if (run.empty()) return {};
        for (const auto& step : run.at("steps").as_array())
            if (text_at(step.get_object(), "id") == id) return text_at(step.get_object(), "state");
        return {};
    }
    void wait_for_state(const std::string& step, const std::string& state) const
    {
        REQUIRE_MESSAGE(eventually([&] { return state_of_step(step) == state; }), step, " is ",
                        state_of_step(step), " and not ", state);
    }

private:
    static constexpr char agent_script[] = R"sh(stage=$(dirname "$0")
step=$2
printf '%s\n' "$1" >>"$stage/commands"
printf '%s\n' "$step" >>"$stage/asked"
eval "set -- $1"
results=
while [ $# -gt 0 ]; do
    case $1 in --results-file) results=$2 ;; esac
    shift
done
tries=$(grep -cxF -e "$step" "$stage/asked")
if [ -n "$results" ]; then
    mkdir -p "$(dirname "$results")"
    echo '{}' >"$results"
fi
if [ -f "$stage/on-$step" ]; then . "$stage/on-$step"; fi
)sh";
};

/// The ids of the steps whose lines on standard output say so, in their order.
inline std::string steps_with(const Ended& ended, std::string_view state)
{
    Words ids;
    for (const auto& line : lines_of(ended.out)) {
        if (!line.starts_with(state)) continue;
        std::istringstream words(line.substr(28));
        std::string id;
        words >> id;
        ids.push_back(id);
    }
    return joined(ids);
}

}  // namespace autoexec::test
