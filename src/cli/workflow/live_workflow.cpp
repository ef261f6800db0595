#include "cli/workflow/live_workflow.hpp"

#include "cli/records/record_removal.hpp"
#include "cli/session/command_session.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/display.hpp"
#include "cli/session/project.hpp"
#include "cli/workflow/manual_step.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/workflow_display.hpp"
#include "cli/workflow/workflow_notifications.hpp"
#include "cli/worktree/collector.hpp"
#include "protocol/control_files.hpp"
#include "protocol/error_codes.hpp"
#include "protocol/layout.hpp"
#include "protocol/usage.hpp"
#include "records/debug_log.hpp"
#include "text/text.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

namespace autoexec::cli {
namespace {

bool has_command_for_nobody(const Workflow& workflow)
{
    bool has = false;
    for_all_steps(workflow, [&has](const WorkflowStep& step) {
        has |= step.agent.empty() && !step.command.empty() && !step.manual;
    });
    return has;
}

constexpr std::size_t max_counted = 100'000;  // more never run at once

using CommandCounts = std::map<const Workflow*, std::size_t>;

/// How many commands may run at once: a list may have as many items as it is allowed. `counts`: of
/// workflows that are used.
std::size_t count_commands(const Workflow& workflow, CommandCounts& counts)
{
    std::size_t count = 0;
    for (const auto& step : workflow.steps) {
        const auto items = !step.for_each                  ? 1
                           : step.for_each->source.empty() ? step.for_each->list.size()
                                                           : step.for_each->max_items;
        std::size_t of_each = 1;
        if (step.used) {
            const auto known = counts.find(step.used.get());
            of_each = known != counts.end() ? known->second : count_commands(*step.used, counts);
            counts.insert_or_assign(step.used.get(), of_each);
        }
        count = std::min(count + items * of_each, max_counted);
    }
    return count;
}

std::size_t count_commands(const Workflow& workflow)
{
    CommandCounts counts;
    return count_commands(workflow, counts);
}

/// An event of a child run, as it is shown: with the steps that led to it before the step's id.
struct ShownEvent {
    explicit ShownEvent(const WorkflowEvent& e) : event(e)
    {
        if (e.parent_steps.empty()) return;
        const auto name = [&e](const std::string& id) {
            return fmt::format("{}/{}", e.parent_steps, id);
        };
        if (!e.step_id.empty()) event.step_id = name(e.step_id);
        for (auto& id : event.steps) id = name(id);
        if (e.result == nullptr) return;
        result = *e.result;
        result.id = name(result.id);
        event.result = &result;
    }
    ShownEvent(const ShownEvent&) = delete;
    ShownEvent& operator=(const ShownEvent&) = delete;

    WorkflowEvent event;
    StepResult result;
};

/// Keeps references to `options`, `manager` and `agents`.
class LiveWorkflow {
public:
    LiveWorkflow(const WorkflowFlags& options, AutoExecutionConfigManager& manager,
                 const Agents& agents, Workflow workflow, WorkflowRunOptions run,
                 std::optional<Resumption> resumption)
        : options_(options),
          agents_(agents),
          workflow_(std::move(workflow)),
          run_(std::move(run)),
          resumption_(std::move(resumption)),
          display_(std::make_shared<WorkflowDisplay>(Screen::suitable_mode(options.session.quiet),
                                                     workflow_)),
          session_(options.session, manager, display_->screen(),
                   options.session.external_agent || !run_.automatic ? std::nullopt
                                                                     : std::optional(agents.all()),
                   count_commands(workflow_), 2),
          executor_(session_.executor(), executor_options(manager)),
          prices_(manager.load().executor.prices)
    {
        session_.executor().subscribe(display_);
        run_.refuse_start = [this] { return session_.budget_refusal(); };
        run_.on_event = [this](const WorkflowEvent& event) { show(event); };
        if (resumption_) {
            add_usage_of_children(session_.root(), resumption_->steps);
            for (const auto& step : resumption_->steps) {
                if (has_ended(step)) display_->record_earlier(step.id, step.state);
                usage_.insert(step.usage.begin(), step.usage.end());
            }
        }
        session_.budget().add_earlier(usage_);
        session_.budget().set_workflow_limits({workflow_.max_cost, workflow_.max_tokens});
        // A resumed run decides on its own whether interrupted steps get another attempt.
        if (!session_.options().error_handling) run_.max_attempts = 1;
        result_.workflow_id = workflow_.id;
        result_.status = WorkflowStatus::cancelled;  // until the run has a result
    }

    int run()
    {
        session_.run(
            work(), [this](asio::cancellation_type type) { cancel_.emit(type); },
            resumption_ ? CommandSession::Recovery::after : CommandSession::Recovery::before);
        conclude();
        return exit_code();
    }

private:
    WorkflowExecutorOptions executor_options(AutoExecutionConfigManager& manager)
    {
        WorkflowExecutorOptions options;
        options.project_root = session_.root();
        options.durability = session_.options().durability;
        options.max_attempts = session_.options().retry.max_attempts;
        options.agent_limits = agents_.limits();
        options.redactor = session_.options().redactor;
        options.metrics = session_.options().metrics;
        options.audit = session_.options().audit;
        options.spawner = session_.spawner();
        options.notifier = session_.options().notifier;
        if (const char* const run_id = std::getenv("AUTOEXEC_RUN_ID")) options.parent_run = run_id;
        options.min_free_bytes = manager.load().worktrees.min_free_bytes;
        options.max_file_bytes = manager.load().worktrees.max_file_bytes;
        options.on_worktree = [this](const std::filesystem::path& tree) {
            session_.add_worktree(tree);
        };
        options.assign = [this](const WorkflowStep& step, CommandRequest& request) {
            return agents_.assign(step, options_.agent, request);
        };
        return options;
    }

    asio::awaitable<void> work()
    {
        if (session_.interrupts() > 0) co_return;
        auto token =
            asio::bind_cancellation_slot(cancel_.slot(), asio::as_tuple(asio::use_awaitable));
        if (resumption_) {
            auto operation = executor_.async_resume(resumption_->run_id, workflow_,
                                                    resumption_->what, run_, std::move(token));
            std::tie(ec_, result_) = co_await std::move(operation);
        } else {
            auto operation = executor_.async_run(workflow_, run_, std::move(token));
            std::tie(ec_, result_) = co_await std::move(operation);
        }
        if (ec_ == errc::invalid_workflow) co_return;
        session_.notifications().add(notification_of(result_, ec_ ? result_.error : summary()));
    }

    void show(const WorkflowEvent& event)
    {
        const bool has_ended = event.type == WorkflowEvent::Type::step_ended;
        const bool has_run =
            has_ended && event.result->execution.has_value() && event.result->cached_from.empty();
        if (has_run && event.result->execution->usage)
            usage_.insert_or_assign(event.result->execution->execution_id,
                                    *event.result->execution->usage);
        if (has_run && !event.parent_steps.empty()) needed_input_ |= needed_input(*event.result);
        const auto lost = has_run ? session_.lost_output(*event.result->execution) : std::string();
        if (lost.empty()) return show_now(event);
        auto result = *event.result;
        result.warnings.push_back(lost);
        auto with_warning = event;
        with_warning.result = &result;
        show_now(with_warning);
        if (options_.session.quiet) print_warning(lost);
    }

    void show_now(const WorkflowEvent& event)
    {
        const ShownEvent shown(event);
        display_->record(shown.event);
        if (options_.json)
            print_json(json_of(event));
        else
            print(shown.event);
        if (!options_.session.quiet) explain(event, shown.event);
        display_->screen().redraw();
        if (auto notification = notification_of(event, event.workflow_id))
            session_.notifications().add(*std::move(notification));
    }

    void add_estimate(boost::json::value& step, const StepResult& result) const
    {
        auto& line = step.as_object();
        if (result.execution && line.contains("usage"))
            protocol::add_estimate(line["usage"], {result.execution->usage, prices_});
    }

    [[nodiscard]] boost::json::object json_of(const WorkflowEvent& event) const
    {
        auto line = to_json(event, event.workflow_id);
        if (line.contains("result")) add_estimate(line["result"], *event.result);
        return line;
    }

    void print(const WorkflowEvent& event) const
    {
        const bool has_ended = event.type == WorkflowEvent::Type::step_ended ||
                               event.type == WorkflowEvent::Type::step_skipped;
        const bool has_failed_by_gate =
            event.type == WorkflowEvent::Type::gate_judged && event.state != StepState::completed;
        if (has_ended || has_failed_by_gate)
            print_state_line("", to_string(event.result->state), 9,
                             after_state(*event.result, prices_));
    }

    void explain(const WorkflowEvent& event, const WorkflowEvent& shown) const
    {
        const bool is_start = event.type == WorkflowEvent::Type::run_started;
        if (is_start && event.parent_steps.empty())
            print_message("Run {}: {}\n", text::printable(event.run_id),
                          text::counted(workflow_.steps.size(), "step"));
        else if (is_start)
            print_message("{}: child run {}\n", text::printable(event.parent_steps),
                          text::printable(event.run_id));
        if (event.type == WorkflowEvent::Type::step_waiting) print_manual_step(event, shown);
        if (event.type == WorkflowEvent::Type::step_ended) print_warnings(*event.result);
        if (event.type == WorkflowEvent::Type::step_ended && event.result->execution)
            print_message(excerpt_of(*event.result->execution));
        const auto sentence = sentence_of(shown);
        if (!sentence.empty()) print_message("{}\n", sentence);
    }

    static void print_warnings(const StepResult& result)
    {
        const auto print = [](const std::string& warning) {
            print_message("  warning: {}\n", text::printable(warning));
        };
        if (result.execution) std::ranges::for_each(result.execution->warnings, print);
        std::ranges::for_each(result.warnings, print);
    }

    [[nodiscard]] std::string words_to_answer(std::string verb, std::vector<std::string> ids) const
    {
        std::vector<std::string> words = {"autoexec", "workflow", std::move(verb)};
        if (!options_.project.empty())
            words.insert(words.end(), {"--project", session_.root().string()});
        std::ranges::move(ids, std::back_inserter(words));
        return text::printable(text::quote_words(words));
    }

    void print_wait(const WorkflowEvent& event, const WorkflowEvent& shown) const
    {
        StepEntry step;
        step.wait = event.wait;
        const bool is_approval = event.wait->is_approval;
        std::vector<std::string> ids = {event.run_id, event.step_id};
        // Another round may have begun when a person answers.
        bool has_gates = false;
        for_all_steps(workflow_, [&](const auto& s) { has_gates |= s.gate.has_value(); });
        if (has_gates) ids.insert(ids.end(), {"--round", std::to_string(event.round)});
        print_message("{}: {}\n  Worktree: {}\n  {}: {} (or {})\n", text::printable(shown.step_id),
                      text::printable(waiting_sentence(step)),
                      text::printable(shown_path(event.worktree)),
                      is_approval ? "To answer" : "When done",
                      words_to_answer(is_approval ? "approve" : "done", std::move(ids)),
                      is_approval ? "reject" : "fail");
    }

    void print_manual_step(const WorkflowEvent& event, const WorkflowEvent& shown) const
    {
        if (event.wait) return print_wait(event, shown);
        const auto file = event.worktree / control_files::simple;
        std::vector<std::string> ids{event.step_id};
        if (!event.parent_steps.empty()) ids.insert(ids.begin(), event.run_id);
        print_message("{}: waiting for you. Instructions: {}. When done: {}\n",
                      text::printable(shown.step_id), text::printable(shown_path(file)),
                      words_to_answer("done", std::move(ids)));
    }

    void conclude() const
    {
        if (ec_) {
            print_message(text::printable(result_.error, true));
            if (!result_.error.ends_with('\n')) print_message("\n");
        }
        if (ec_ == errc::invalid_workflow) return;
        if (options_.json) {
            boost::json::object line{{"event", "result"}};
            for (const auto& [key, value] : autoexec::to_json(result_)) line[key] = value;
            auto& steps = line["steps"].as_array();
            for (std::size_t i = 0; i < steps.size(); ++i) add_estimate(steps[i], result_.steps[i]);
            line["usage"] = protocol::usage_or_null(protocol::total_of(usage_));
            protocol::add_estimate(line["usage"], protocol::spending_of(usage_, prices_));
            print_json(line);
        }
        if (options_.session.quiet || result_.run_id.empty()) return;
        const auto records = session_.root() / layout::records;
        const auto journal = records / "workflow-state" / workflow::journal_name(result_.run_id);
        print_message("{}Journal: {}. Records and outputs: {}\n", summary(),
                      text::printable(shown_path(journal)), text::printable(shown_path(records)));
    }

    [[nodiscard]] std::string summary() const
    {
        return summary_of(result_, run_.merge_into,
                          to_text(protocol::spending_of(usage_, prices_)));
    }

    [[nodiscard]] int exit_code() const
    {
        if (ec_ == errc::invalid_workflow) return exit_invalid;
        if (ec_) return exit_internal;
        if (session_.records_lost() && result_.status != WorkflowStatus::cancelled)
            return exit_internal;
        switch (result_.status) {
            case WorkflowStatus::completed:
                return exit_completed;
            case WorkflowStatus::cancelled:
                return exit_cancelled;
            default:
                return needed_input() ? exit_input : exit_failed;
        }
    }

    [[nodiscard]] bool needed_input() const
    {
        return needed_input_ || std::ranges::any_of(result_.steps, [](const StepResult& step) {
                   return needed_input(step);
               });
    }

    static bool needed_input(const StepResult& step)
    {
        return step.execution && step.execution->error &&
               step.execution->error->code == error_codes::input_needed;
    }

    const WorkflowFlags& options_;
    const Agents& agents_;
    Workflow workflow_;
    WorkflowRunOptions run_;
    std::optional<Resumption> resumption_;
    std::shared_ptr<WorkflowDisplay> display_;
    CommandSession session_;
    WorkflowExecutor executor_;
    ModelPrices prices_;
    protocol::UsageByExecution usage_;  ///< Of all rounds, and before a resumption.
    asio::cancellation_signal cancel_;
    bool needed_input_ = false;  ///< Of a step in a child run.
    error_code ec_;
    WorkflowResult result_;
};

}  // namespace

int run_live(const WorkflowFlags& options, AutoExecutionConfigManager& manager,
             const Agents& agents, Workflow workflow, WorkflowRunOptions run,
             std::optional<Resumption> resumption)
{
    const auto config = manager.load();
    records::set_debug_log(manager.project_root(), config.debug);
    remove_records_before_run(manager.project_root(), config.records, options.session.quiet);
    if (agents.runs_texts_with_shell() && has_command_for_nobody(workflow) &&
        !options.session.quiet)
        print_message(no_agents_file_notice);
    const int code = LiveWorkflow(options, manager, agents, std::move(workflow), std::move(run),
                                  std::move(resumption))
                         .run();
    if (code == exit_completed) collect_after_run(manager, options.session.quiet);
    return code;
}

}  // namespace autoexec::cli
