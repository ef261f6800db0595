#pragma once

#include "autoexec/workflow_executor.hpp"
#include "support/executor_fixture.hpp"
#include "support/workflows.hpp"
#include "workflow/journal/journal.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::test {

/// What a scripted agent does with a step's command.
struct Reply {
    std::chrono::nanoseconds after = std::chrono::seconds{1};
    ReportedStatus status = ReportedStatus::completed;
    std::optional<bool> retryable = {};
    std::vector<std::string> creates = {};
    bool never = false;
};

/// Runs of workflows in virtual time, by an executor over worktrees in memory. What a gate reads is
/// in real folders of the same names.
struct WorkflowFixture {
    WorkflowFixture()
    {
        engine_options.project_root = project.path();
        engine_options.clock = clock;
        engine_options.handoff = handoff;
        engine_options.notifier = local_notifier();
        engine_options.enable_audit = engine_options.enable_metrics = false;
        engine_options.adaptive_polling = false;
        engine_options.start_timeout = std::chrono::seconds{0};
        engine_options.retry.max_attempts = 1;
        engine_options.random = [] { return 0.5; };
        engine_options.tree_state = [](std::filesystem::path) -> asio::awaitable<std::string> {
            co_return std::string();
        };
        static const auto redactor = std::make_shared<const Redactor>();  // takes long to make
        engine_options.redactor = options.redactor = redactor;
        options.project_root = project.path();
        options.clock = clock;
        options.handoff = handoff;
        run_options.on_event = [this](const WorkflowEvent& event) { note(event); };
        tree_at("");
    }

    /// A worktree below the project's folder; the project's folder itself for "".
    MemoryTree& tree_at(const std::string& name)
    {
        const auto path = name.empty() ? project.path() : project / name;
        std::filesystem::create_directories(path);
        auto& tree = handoff->at(path.string());
        tree.on_publish = [this, &tree] { answer(tree); };
        return tree;
    }

    /// The agent: looks up what to do by the step, and does it when its time has come.
    void answer(MemoryTree& tree)
    {
        const auto command = tree.published.back();
        commands.push_back(command.command);
        const auto id = command.step_id.value_or("");
        const auto reply = on_command ? on_command(id) : replies[id];
        if (reply.never) return;
        auto shared = handoff->trees[command.worktree_path];
        clock->at(clock->elapsed() + reply.after, [this, reply, command, shared] {
            if (shared->published.back().attempt_id != command.attempt_id || !shared->command)
                return;  // over by then
            for (const auto& path : reply.creates) {
                shared->create(path);
                const auto file = std::filesystem::path(command.worktree_path) / path;
                if (!std::filesystem::exists(file)) write_file(file, "made");
            }
            auto status = shared->status(reply.status);
            if (reply.status == ReportedStatus::failed)
                status.error = CommandError{"as scripted", "scripted", reply.retryable, 0};
            shared->report(std::move(status));
            engine_options.notifier->notify(command.worktree_path);
        });
    }

    virtual void note(const WorkflowEvent& event)
    {
        static const std::map<WorkflowEvent::Type, std::string> signs{
            {WorkflowEvent::Type::step_started, "+"},
            {WorkflowEvent::Type::step_skipped, "-"},
            {WorkflowEvent::Type::step_waiting, "?"},
            {WorkflowEvent::Type::sent_back, "<"}};
        const auto sign = signs.find(event.type);
        if (sign != signs.end()) story.push_back(sign->second + event.step_id);
        if (event.type == WorkflowEvent::Type::step_ended)
            story.push_back(event.step_id + " " + std::string(to_string(event.state)));
    }

    void make()
    {
        if (engine) return;
        engine = std::make_unique<BackgroundAgentAutoExecutor>(ctx.get_executor(), engine_options);
        executor = std::make_unique<WorkflowExecutor>(*engine, options);
    }

    void start(Workflow w)
    {
        make();
        executor->async_run(
            std::move(w), run_options,
            asio::bind_cancellation_slot(cancel.slot(), [this](error_code e, WorkflowResult r) {
                ++results;
                ec = e;
                result = std::move(r);
            }));
    }

    /// Runs a workflow to its end.
    const WorkflowResult& run(Workflow w)
    {
        start(std::move(w));
        clock->run(ctx);
        CHECK(results == 1);
        return result;
    }

    [[nodiscard]] const StepResult& of(std::string_view id) const
    {
        for (const auto& step : result.steps)
            if (step.id == id) return step;
        FAIL("there is no step ", id);
        return result.steps.front();
    }

    [[nodiscard]] workflow::RunRecord journal() const
    {
        std::string problem;
        auto record = workflow::read_run(project.path(), result.run_id, problem);
        REQUIRE_MESSAGE(record, problem);
        return *std::move(record);
    }

    TemporaryFolder project;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<MemoryHandoff> handoff = std::make_shared<MemoryHandoff>();
    ExecutorOptions engine_options;
    WorkflowExecutorOptions options;
    WorkflowRunOptions run_options;

    std::map<std::string, Reply> replies;  ///< By step; what is not here completes after a second.
    std::function<Reply(const std::string& step)> on_command;
    std::vector<std::string> commands;  ///< As they were published.
    std::vector<std::string> story;     ///< `+a` started, `a completed` ended, `-b` skipped …

    int results = 0;
    error_code ec;
    WorkflowResult result;

    asio::io_context ctx;
    asio::cancellation_signal cancel;  // after ctx: its slot may hold a strand of ctx
    std::unique_ptr<BackgroundAgentAutoExecutor> engine;
    std::unique_ptr<WorkflowExecutor> executor;
};

}  // namespace autoexec::test
