#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/manual_step.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/setup.hpp"
#include "text/text.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

struct WorkflowStatusOptions : CommonOptions {
    std::string run;  ///< Empty: the newest.
};

std::string_view word_for(const StepEntry& step, bool alive)
{
    // A running step without an executor does not continue.
    if (step.state == StepState::running && !alive) return "interrupted";
    return step.state == StepState::waiting_manual ? "manual" : to_string(step.state);
}

std::string age_of(const StepEntry& step, bool alive)
{
    if (step.duration_seconds)
        return text::format_duration(
            milliseconds(static_cast<std::int64_t>(*step.duration_seconds * 1000)));
    const auto start = step.started_at;
    if (!start || !alive || has_ended(step)) return "-";
    return text::format_duration(std::max(
        milliseconds{0},
        std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now() - *start)));
}

void print(const StepEntry& step, bool alive, std::size_t width, const ModelPrices& prices)
{
    const bool has_logs =
        step.attempts > 0 || (!has_ended(step) && !step.wait && step.child_run.empty());
    const auto id = has_logs ? short_id(step.execution_id) : std::string();
    auto line =
        fmt::format(" {} {:>7}  {}", cell(id, 8), age_of(step, alive), cell(step.id, width));
    if (step.round > 1) line += fmt::format("  (round {})", step.round);
    if (!step.cached_from.empty())
        line += fmt::format("  (cached, from {})", text::printable(step.cached_from));
    if (const auto usage = to_text(protocol::spending_of(step.usage, prices)); !usage.empty())
        line += "  " + usage;
    if (!step.child_run.empty()) line += "  " + text::printable(step.child_run);
    if (step.wait) line += "  " + text::printable(waiting_sentence(step));
    if (step.answer && step.reason.empty()) line += "  " + text::printable(words_of(*step.answer));
    if (!step.reason.empty()) line += "  " + text::printable(step.reason);
    line.erase(line.find_last_not_of(' ') + 1);
    print_state_line("", word_for(step, alive), 11, line);
}

void print(const RunEntry& run, const ModelPrices& prices)
{
    const auto duration = duration_of(run);
    const auto usage = to_text(protocol::spending_of(usage_of(run), prices));
    print_result("{}  {}, {} of {} ended{}{}{}\n", text::printable(run.run_id), state_of(run),
                 count_ended(run), text::counted(run.steps.size(), "step"),
                 duration ? ", " + text::format_duration(*duration) : std::string(),
                 usage.empty() ? "" : "; ", usage);
    if (!run.parent_run.empty())
        print_result("Child run of the step {} of {}\n", text::printable(run.parent_step),
                     text::printable(run.parent_run));
    if (run.waits_for) print_result("It {}\n", waiting_words(run));
    if (!run.error.empty()) print_result("{}\n", text::printable(run.error));
    std::size_t width = 0;
    for (const auto& step : run.steps) width = std::max(width, step.id.size());
    width = std::min<std::size_t>(width, 40);
    for (const auto& step : run.steps) print(step, run.alive, width, prices);
    if (!run.commit.empty() && run.status == WorkflowStatus::completed)
        print_result("The work is on the branch {}\n", text::printable(run.branch));
}

int show_run(const WorkflowStatusOptions& options)
{
    const auto root = project_root(options);
    auto run = find_run(root, options.run);
    order_items(run);
    add_usage_of_children(root, run.steps);
    if (options.json)
        print_json(to_json_with_steps(run, configured_prices(root)));
    else
        print(run, configured_prices(root));
    return exit_completed;
}

void define_workflow_status(CLI::App& app, WorkflowStatusOptions& o)
{
    add_common(app, o);
    add_run_id(app, "run", o.run,
               "The run's id, or its beginning or end (default: the newest run)");
}

}  // namespace

extern const Subcommand workflow_status_subcommand = subcommand(
    "workflow status", "Show a run's status, step by step", define_workflow_status, show_run);

}  // namespace autoexec::cli
