#include "support/workflow_project.hpp"

#include <doctest/doctest.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <sstream>
#include <utility>

namespace autoexec::test {

namespace {

constexpr char agent_script[] = R"sh(stage=$(dirname "$0")
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

}  // namespace

WorkflowProject::WorkflowProject(const Words& agent)
{
    write_file(stage() / "agent", agent_script);
    add_agent("scripted", "/bin/sh '" + (stage() / "agent").string() + "' {command} {step_id}",
              agent);
}

WorkflowProject::~WorkflowProject()
{
    const auto wishes = names_in(records() / "workflow-state/cancel");
    CHECK_MESSAGE(wishes.empty(), "a wish to cancel is left");
}

void WorkflowProject::on(const std::string& step, std::string_view script) const
{
    write_file(stage() / ("on-" + step), script);
}

void WorkflowProject::steps(const Words& steps) const
{
    std::string text = "id: w\nsteps:\n";
    for (const auto& step : steps) text += "  - {" + step + "}\n";
    workflow(text);
}

Words WorkflowProject::run_words(const Words& more)
{
    Words words = {"workflow", "run", "workflow.yaml"};
    const bool has_place = std::any_of(more.begin(), more.end(), [](const auto& word) {
        return word == "-w" || word == "--worktree";
    });
    if (!has_place) words.emplace_back("--in-place");
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

Start WorkflowProject::start_workflow(const Words& more) const
{
    return start(run_words(more));
}

std::string WorkflowProject::asked() const
{
    return joined(lines_of(read_file(stage() / "asked")));
}

void WorkflowProject::wait_until_asked(const std::string& step) const
{
    REQUIRE(eventually([&] { return contains(" " + asked() + " ", " " + step + " "); }));
}

boost::json::object WorkflowProject::newest_run() const
{
    const auto ended = run({"workflow", "status", "--json"});
    return ended.code == 0 ? objects_of(ended.out).at(0) : boost::json::object();
}

std::string WorkflowProject::state_of_step(std::string_view id) const
{
    const auto run = newest_run();
    if (run.empty()) return {};
    for (const auto& step : run.at("steps").as_array())
        if (text_at(step.get_object(), "id") == id) return text_at(step.get_object(), "state");
    return {};
}

void WorkflowProject::wait_for_state(const std::string& step, const std::string& state) const
{
    REQUIRE_MESSAGE(eventually([&] { return state_of_step(step) == state; }), step, " is ",
                    state_of_step(step), " and not ", state);
}

std::string steps_with(const Ended& ended, std::string_view state)
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
