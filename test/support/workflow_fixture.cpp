#include "support/workflow_fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <utility>

namespace autoexec::test {

WorkflowFixture::WorkflowFixture()
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
    engine_options.free_resources = [] { return FreeResources(); };
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

WorkflowFixture::~WorkflowFixture() = default;

MemoryTree& WorkflowFixture::tree_at(const std::string& name)
{
    const auto path = name.empty() ? project.path() : project / name;
    std::filesystem::create_directories(path);
    auto& tree = handoff->at(path.string());
    tree.on_publish = [this, &tree] { answer(tree); };
    return tree;
}

void WorkflowFixture::answer(MemoryTree& tree)
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

void WorkflowFixture::note(const WorkflowEvent& event)
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

void WorkflowFixture::make()
{
    if (engine) return;
    engine = std::make_unique<BackgroundAgentAutoExecutor>(ctx.get_executor(), engine_options);
    executor = std::make_unique<WorkflowExecutor>(*engine, options);
}

void WorkflowFixture::start(Workflow w)
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

const WorkflowResult& WorkflowFixture::run(Workflow w)
{
    start(std::move(w));
    clock->run(ctx);
    CHECK(results == 1);
    return result;
}

const StepResult& WorkflowFixture::of(std::string_view id) const
{
    for (const auto& step : result.steps)
        if (step.id == id) return step;
    FAIL("there is no step ", id);
    return result.steps.front();
}

workflow::RunRecord WorkflowFixture::journal() const
{
    std::string problem;
    auto record = workflow::read_run(project.path(), result.run_id, problem);
    REQUIRE_MESSAGE(record, problem);
    return *std::move(record);
}

}  // namespace autoexec::test
