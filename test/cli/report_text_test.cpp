#include "cli/workflow/report_text.hpp"

#include <doctest/doctest.h>
#include <boost/json/array.hpp>

#include <string>

using namespace autoexec;
using namespace autoexec::cli;

namespace {

RunReport report_with(StepEntry step)
{
    RunReport report;
    report.run.run_id = "w-1";
    report.run.workflow_id = "w";
    report.run.status = WorkflowStatus::completed;
    report.run.steps.push_back(std::move(step));
    return report;
}

bool has(const std::string& text, std::string_view part)
{
    return text.find(part) != text.npos;
}

}  // namespace

TEST_SUITE_BEGIN("report text");

TEST_CASE("a report names who has answered a manual step, and why")
{
    StepEntry step;
    step.id = "ask";
    step.state = StepState::completed;
    step.answer = StepAnswer{StepDecision::approved, "ada@host", "in `blue`\n@team", {}};
    const auto text = report_text(report_with(step));
    CHECK(has(text, "\n## Reasons\n\n- `ask`: ``approved by ada@host: in `blue`; @team``\n"));
}

TEST_CASE("no text of a run leaves its cell, its line or its span")
{
    StepEntry step;
    step.id = "a|b\n# c";
    step.agent = "`@x`";
    step.state = StepState::failed;
    step.reason = "<img src=x>\n\n[a](https://example.org) \x1b[31m``";
    const auto text = report_text(report_with(step));
    CHECK(has(text, "\n| `a¦b\\n# c` | failed | `` `@x` `` | "));
    CHECK(has(text, "\n- `a|b\\n# c` failed: ``` <img src=x>\\n\\n[a](https://example.org) "));
    CHECK_FALSE(has(text, "\x1b"));
    CHECK_FALSE(has(text, "\n# c"));
}

TEST_CASE("a report as JSON has null for changes that are not known")
{
    StepEntry step;
    step.id = "a";
    auto report = report_with(step);
    auto object = report_json(report);
    CHECK(object.at("changes").is_null());
    CHECK(object.at("steps").as_array().at(0).at("changes").is_null());
    report.step_changes["a"].files.push_back({"new", "", 'A', 3, 0});
    report.changes = report.step_changes["a"];
    object = report_json(report);
    CHECK(object.at("changes").at("added").as_int64() == 3);
    const auto& changes = object.at("steps").as_array().at(0).at("changes");
    CHECK(changes.at("files").as_array().at(0).at("state").as_string() == "added");
}

TEST_SUITE_END();
