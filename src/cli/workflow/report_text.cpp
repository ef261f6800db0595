#include "cli/workflow/report_text.hpp"

#include "cli/session/file_changes.hpp"
#include "cli/session/markdown.hpp"
#include "cli/workflow/manual_step.hpp"
#include "cli/workflow/runs.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t max_files = 100;
constexpr std::string_view unknown = "–";

std::string or_unknown(std::string text)
{
    return text.empty() ? std::string(unknown) : std::move(text);
}

std::string lines_text(std::int64_t added, std::int64_t deleted)
{
    return fmt::format("+{} −{}", added, deleted);
}

std::string changes_text(const git::ChangeList& changes)
{
    if (changes.files.empty()) return "none";
    return fmt::format("{}, {}", text::counted(changes.files.size(), "file"),
                       lines_text(changes.added(), changes.deleted()));
}

void add_row(std::string& text, std::string_view name, std::string_view value)
{
    if (!value.empty()) text += fmt::format("| {} | {} |\n", name, value);
}

std::string head_of(const RunReport& report)
{
    const auto& run = report.run;
    auto text = fmt::format("# Workflow {}\n\n| | |\n|---|---|\n",
                            code_span(run.name.empty() ? run.workflow_id : run.name));
    const auto duration = duration_of(run);
    add_row(text, "run", table_code_span(run.run_id));
    add_row(text, "state", state_of(run));
    if (run.started_at)
        add_row(text, "started", text::iso_utc(run.started_at).substr(0, 19) + " UTC");
    add_row(text, "duration", duration ? text::format_duration(*duration) : std::string());
    add_row(text, "branch", run.commit.empty() ? std::string() : table_code_span(run.branch));
    add_row(text, "commit", table_code_span(run.commit));
    add_row(text, "changes", report.changes ? changes_text(*report.changes) : std::string());
    add_row(text, "used", to_text(protocol::spending_of(usage_of(run), report.prices)));
    return text;
}

std::string step_row(const RunReport& report, const StepEntry& step)
{
    const auto changes = report.step_changes.find(step.id);
    const auto duration = step.duration_seconds
                              ? text::format_duration(milliseconds(
                                    static_cast<std::int64_t>(*step.duration_seconds * 1000)))
                              : std::string();
    return fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} | {} |\n", table_code_span(step.id),
        to_string(step.state), or_unknown(table_code_span(step.agent)), step.round, step.attempts,
        or_unknown(duration),
        changes == report.step_changes.end() ? std::string(unknown) : changes_text(changes->second),
        or_unknown(to_text(protocol::spending_of(step.usage, report.prices))));
}

std::string steps_of(const RunReport& report)
{
    std::string text =
        "\n## Steps\n\n| step | state | agent | rounds | attempts | duration | changes | used |\n"
        "|---|---|---|---|---|---|---|---|\n";
    for (const auto& step : report.run.steps) text += step_row(report, step);
    return text;
}

std::string reasons_of(const RunEntry& run)
{
    std::string text;
    if (!run.error.empty()) text += fmt::format("- {}\n", code_span(run.error));
    for (const auto& step : run.steps) {
        if (!step.cached_from.empty())
            text += fmt::format("- {} was cached, from {}\n", code_span(step.id),
                                code_span(step.cached_from));
        if (!step.reason.empty())
            text += fmt::format("- {} {}: {}\n", code_span(step.id), to_string(step.state),
                                code_span(step.reason));
        else if (step.answer)
            text +=
                fmt::format("- {}: {}\n", code_span(step.id), code_span(words_of(*step.answer)));
    }
    return text.empty() ? text : "\n## Reasons\n\n" + text;
}

std::string name_of_change(const git::FileChange& file)
{
    auto path = table_code_span(file.path);
    if (file.old_path.empty()) return path;
    return fmt::format("{} → {}", table_code_span(file.old_path), path);
}

std::string files_of(const git::ChangeList& changes)
{
    if (changes.files.empty()) return {};
    std::string text = "\n## Changed files\n\n| file | change | lines |\n|---|---|---|\n";
    const auto count = std::min(changes.files.size(), max_files);
    for (std::size_t i = 0; i < count; ++i) {
        const auto& file = changes.files[i];
        const auto lines = file.added && file.deleted ? lines_text(*file.added, *file.deleted)
                                                      : std::string("binary");
        text += fmt::format("| {} | {} | {} |\n", name_of_change(file), word_for_change(file.kind),
                            lines);
    }
    if (count < changes.files.size())
        text += fmt::format("\n… and {} more\n", changes.files.size() - count);
    return text;
}

}  // namespace

std::string report_text(const RunReport& report)
{
    auto text = head_of(report) + steps_of(report) + reasons_of(report.run);
    if (report.changes) text += files_of(*report.changes);
    return text;
}

boost::json::object report_json(const RunReport& report)
{
    auto o = to_json_with_steps(report.run, report.prices);
    o["changes"] = nullptr;
    if (report.changes) o["changes"] = to_json(*report.changes);
    auto& steps = o["steps"].as_array();
    for (std::size_t i = 0; i < steps.size(); ++i) {
        auto& changes = steps[i].as_object()["changes"];
        const auto known = report.step_changes.find(report.run.steps[i].id);
        if (known != report.step_changes.end()) changes = to_json(known->second);
    }
    return o;
}

}  // namespace autoexec::cli
