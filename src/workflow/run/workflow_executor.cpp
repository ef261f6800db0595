#include "handoff/file_handoff.hpp"
#include "protocol/step_answer.hpp"
#include "records/decisions.hpp"
#include "workflow/run/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace autoexec::inline v1 {
namespace {

void fill_in(WorkflowExecutorOptions& o)
{
    if (o.look_interval <= std::chrono::milliseconds::zero())
        throw system_error(errc::invalid_options, "look_interval must be positive");
    if (o.project_root.empty()) o.project_root = std::filesystem::current_path();
    o.project_root = std::filesystem::absolute(o.project_root).lexically_normal();
    if (!o.clock) o.clock = system_clock();
    if (!o.handoff) o.handoff = handoff::file_handoff();
    if (!o.spawner) o.spawner = supervised_spawner();
    if (!o.redactor) o.redactor = std::make_shared<const Redactor>();
}

}  // namespace

struct WorkflowExecutor::Impl : workflow::RunContext {
    using RunContext::RunContext;
};

WorkflowExecutor::WorkflowExecutor(BackgroundAgentAutoExecutor& executor,
                                   WorkflowExecutorOptions options)
{
    fill_in(options);
    impl_ = std::make_shared<Impl>(executor, std::move(options));
}

WorkflowExecutor::~WorkflowExecutor() = default;

void WorkflowExecutor::start(std::shared_ptr<Impl> impl, Workflow workflow,
                             WorkflowRunOptions options, Handler handler)
{
    const auto strand = impl->strand;
    async::launch(strand,
                  workflow::execute(std::move(impl), std::move(workflow), std::move(options)),
                  std::move(handler));
}

void WorkflowExecutor::start_resume(std::shared_ptr<Impl> impl, std::string run_id,
                                    Workflow workflow, WorkflowResumeOptions what,
                                    WorkflowRunOptions options, Handler handler)
{
    const auto strand = impl->strand;
    workflow::Resumption resumption{std::move(run_id), std::move(what)};
    async::launch(strand,
                  workflow::execute(std::move(impl), std::move(workflow), std::move(options),
                                    std::move(resumption)),
                  std::move(handler));
}

asio::awaitable<WorkflowResult> WorkflowExecutor::run(Workflow workflow, WorkflowRunOptions options)
{
    return async::unwrap(impl_->strand,
                         workflow::execute(impl_, std::move(workflow), std::move(options)),
                         std::mem_fn(&WorkflowResult::error));
}

asio::awaitable<WorkflowResult> WorkflowExecutor::resume(std::string run_id, Workflow workflow,
                                                         WorkflowResumeOptions what,
                                                         WorkflowRunOptions options)
{
    workflow::Resumption resumption{std::move(run_id), std::move(what)};
    return async::unwrap(
        impl_->strand,
        workflow::execute(impl_, std::move(workflow), std::move(options), std::move(resumption)),
        std::mem_fn(&WorkflowResult::error));
}

void WorkflowExecutor::answer(const std::string& run_id, std::string_view step_id,
                              StepAnswer answer) const
{
    const auto& root = impl_->options.project_root;
    std::string problem;
    const auto run = workflow::read_run(root, run_id, problem);
    if (!run) throw system_error(errc::invalid_options, problem);
    const auto step = std::ranges::find(run->steps, step_id, &StepEntry::id);
    const bool waits = run->status == WorkflowStatus::running && step != run->steps.end() &&
                       step->state == StepState::waiting_manual && step->wait;
    if (!waits)
        throw system_error(errc::invalid_options,
                           fmt::format("No manual step '{}' waits in {}.", step_id, run_id));
    const protocol::StepAnswerFile file{step->execution_id, std::move(answer)};
    const auto text = protocol::format_step_answer(file);
    if (!protocol::parse_step_answer(text))
        throw system_error(errc::invalid_options,
                           "The answer has no author (`by`), is too long, or is not UTF-8.");
    if (const auto ec = records::put_decision(root, run_id, file.execution_id, text))
        throw system_error(ec);
}

boost::asio::any_io_executor WorkflowExecutor::get_executor() const noexcept
{
    return impl_->strand.get_inner_executor();
}

asio::awaitable<ExecutionResult> WorkflowExecutor::execute_and_wait(
    std::string agent_name, std::string action, std::string command_string, std::string step_id,
    std::string workflow_id, std::filesystem::path worktree_path)
{
    if (command_string.empty())
        command_string = impl_->options.commands.build(agent_name, action, {});
    CommandRequest request(std::move(command_string),
                           workflow::path_below(impl_->options.project_root, worktree_path));
    if (!workflow_id.empty()) request.workflow_id = std::move(workflow_id);
    if (!step_id.empty()) request.step_id = std::move(step_id);
    return impl_->executor.execute_command(std::move(request));
}

}  // namespace autoexec::inline v1
