#include "cli/workflow/live_workflow.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/workflow_text.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"
#include "text/text.hpp"
#include "workflow/journal/journal_place.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <tuple>
#include <utility>
#include <vector>

namespace autoexec::cli {

LiveWorkflow::LiveWorkflow(const WorkflowPlayOptions& options, AutoExecutionConfigManager& manager,
                           const Agents& agents, Workflow workflow, WorkflowRunOptions run,
                           std::optional<Resumption> resumption)
    : options_(options),
      agents_(agents),
      workflow_(std::move(workflow)),
      run_(std::move(run)),
      resumption_(std::move(resumption)),
      display_(std::make_shared<WorkflowDisplay>(Screen::suitable_mode(options.engine.quiet),
                                                 workflow_)),
      engine_(options.engine, manager, display_->screen(),
              options.engine.external_agent || !run_.automatic ? std::nullopt
                                                               : std::optional(agents.all()),
              workflow_.steps.size()),
      executor_(engine_.executor(), executor_options(manager))
{
    engine_.executor().subscribe(display_);
    run_.on_event = [this](const WorkflowEvent& event) { show(event); };
    if (resumption_)
        for (const auto& step : resumption_->steps)
            if (has_ended(step)) display_->note_earlier(step.id, step.state);
    // A resumed run decides itself whether interrupted steps get another attempt.
    if (!engine_.options().error_handling) run_.max_attempts = 1;
    result_.workflow_id = workflow_.id;
    result_.status = WorkflowStatus::cancelled;  // until there is another one
}

WorkflowExecutorOptions LiveWorkflow::executor_options(AutoExecutionConfigManager& manager)
{
    WorkflowExecutorOptions options;
    options.project_root = engine_.root();
    options.durability = engine_.options().durability;
    options.max_attempts = engine_.options().retry.max_attempts;
    options.agent_limits = agents_.limits();
    options.redactor = engine_.options().redactor;
    options.metrics = engine_.options().metrics;
    options.spawner = engine_.spawner();
    options.min_free_bytes = manager.load().worktrees.min_free_bytes;
    options.max_file_bytes = manager.load().worktrees.max_file_bytes;
    options.on_worktree = [this](const std::filesystem::path& tree) { engine_.add_worktree(tree); };
    options.assign = [this](const WorkflowStep& step, CommandRequest& request) {
        return agents_.assign(step, options_.engine.agent, request);
    };
    return options;
}

int LiveWorkflow::go()
{
    engine_.run(
        work(), [this](asio::cancellation_type type) { cancel_.emit(type); },
        resumption_ ? Engine::Recovery::after : Engine::Recovery::before);
    conclude();
    return exit_code();
}

asio::awaitable<void> LiveWorkflow::work()
{
    if (engine_.interrupts() > 0) co_return;
    auto token = asio::bind_cancellation_slot(cancel_.slot(), asio::as_tuple(asio::use_awaitable));
    if (resumption_) {
        auto operation = executor_.async_resume(resumption_->run_id, workflow_, resumption_->what,
                                                run_, std::move(token));
        std::tie(ec_, result_) = co_await std::move(operation);
    } else {
        auto operation = executor_.async_run(workflow_, run_, std::move(token));
        std::tie(ec_, result_) = co_await std::move(operation);
    }
}

void LiveWorkflow::show(const WorkflowEvent& event)
{
    const bool has_ended = event.type == WorkflowEvent::Type::step_ended;
    const bool has_run = has_ended && event.result->execution.has_value();
    const auto lost = has_run ? engine_.lost_output(*event.result->execution) : std::string();
    if (lost.empty()) return show_as_it_is(event);
    auto result = *event.result;
    result.warnings.push_back(lost);
    auto with_warning = event;
    with_warning.result = &result;
    show_as_it_is(with_warning);
    if (options_.engine.quiet) display_->screen().say("warning: " + text::printable(lost));
}

void LiveWorkflow::show_as_it_is(const WorkflowEvent& event)
{
    auto& screen = display_->screen();
    screen.clear();
    display_->note(event);
    if (options_.common.json)
        print_json(to_json(event, workflow_.id));
    else
        print(event);
    if (!options_.engine.quiet) explain(event);
    screen.tick();
}

void LiveWorkflow::print(const WorkflowEvent& event) const
{
    const bool has_ended = event.type == WorkflowEvent::Type::step_ended ||
                           event.type == WorkflowEvent::Type::step_skipped;
    const bool has_failed_by_gate =
        event.type == WorkflowEvent::Type::gate_judged && event.state != StepState::completed;
    if (has_ended || has_failed_by_gate) tell(stdout, "{}\n", step_line(*event.result));
}

void LiveWorkflow::explain(const WorkflowEvent& event) const
{
    const auto count = workflow_.steps.size();
    if (event.type == WorkflowEvent::Type::run_started)
        tell(stderr, "Run {}: {} {}\n", text::printable(event.run_id), count,
             count == 1 ? "step" : "steps");
    if (event.type == WorkflowEvent::Type::step_waiting) call_on_person(event);
    if (event.type == WorkflowEvent::Type::step_ended) print_warnings(*event.result);
    const auto sentence = sentence_of(event);
    if (!sentence.empty()) tell(stderr, "{}\n", sentence);
}

void LiveWorkflow::print_warnings(const StepResult& result)
{
    const auto print = [](const std::string& warning) {
        tell(stderr, "  warning: {}\n", text::printable(warning));
    };
    if (result.execution) std::ranges::for_each(result.execution->warnings, print);
    std::ranges::for_each(result.warnings, print);
}

void LiveWorkflow::call_on_person(const WorkflowEvent& event) const
{
    std::vector<std::string> words = {"autoexec", "workflow", "done"};
    if (!options_.common.project.empty())
        words.insert(words.end(), {"--project", engine_.root().string()});
    words.push_back(event.step_id);
    const auto file = event.worktree / control_files::simple;
    tell(stderr, "{}: waiting for you. Instructions: {}. When done: {}\n",
         text::printable(event.step_id), text::printable(shown_path(file)),
         text::printable(text::quote_words(words)));
}

void LiveWorkflow::conclude() const
{
    if (ec_) {
        tell(stderr, "{}", text::printable(result_.error, true));
        if (!result_.error.ends_with('\n')) tell(stderr, "\n");
    }
    if (ec_ == errc::invalid_workflow) return;
    if (options_.common.json) {
        boost::json::object line{{"event", "result"}};
        for (const auto& [key, value] : autoexec::to_json(result_)) line[key] = value;
        print_json(line);
    }
    if (options_.engine.quiet || result_.run_id.empty()) return;
    const auto records = engine_.root() / layout::records;
    const auto journal = records / "workflow-state" / workflow::journal_name(result_.run_id);
    tell(stderr, "{}Journal: {}. Records and outputs: {}\n", summary_of(result_, run_.merge_into),
         text::printable(shown_path(journal)), text::printable(shown_path(records)));
}

int LiveWorkflow::exit_code() const
{
    if (ec_ == errc::invalid_workflow) return exit_invalid;
    if (ec_) return exit_engine;
    if (engine_.records_lost() && result_.status != WorkflowStatus::cancelled) return exit_engine;
    switch (result_.status) {
        case WorkflowStatus::completed:
            return exit_completed;
        case WorkflowStatus::cancelled:
            return exit_cancelled;
        default:
            return exit_failed;
    }
}

}  // namespace autoexec::cli
