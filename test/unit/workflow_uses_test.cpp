#include "support/temporary_folder.hpp"
#include "support/workflow_fixture.hpp"
#include "workflow/run/run_context.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

/// Steps that use other workflows.

namespace {

constexpr auto task_file = R"(id: task
params: {task: null, count: 3, deep: false, files: []}
steps:
  - {id: code, argv: [make, "{params.task}"]}
)";

/// The problems of `w.yaml` in a folder, with the file that each is in.
std::string errors_in(const fs::path& folder, const WorkflowReadOptions& options = {})
{
    const auto loaded = load_workflow(folder / "w.yaml", options);
    CHECK(loaded.workflow.has_value() == loaded.errors.empty());
    std::string all;
    for (const auto& d : loaded.errors)
        all += fmt::format("{}:{}:{}: {}{}{}\n", fs::path(d.path).filename().string(), d.line,
                           d.column, d.message, d.hint.empty() ? "" : " / ", d.hint);
    return all;
}

/// The same for a step with these lines below `uses: task.yaml`.
std::string errors_of_step(const std::string& lines, const std::string& task = task_file)
{
    TemporaryFolder folder;
    write_file(folder / "task.yaml", task);
    write_file(folder / "w.yaml",
               "id: w\nparams: {n: 1}\nsteps:\n"
               "  - {id: plan, command: make plan, results: plan.json}\n"
               "  - id: do\n    uses: task.yaml\n    " +
                   lines + "\n");
    return errors_in(folder.path());
}

WorkflowStep using_step(std::string id, Workflow used)
{
    WorkflowStep s;
    s.id = std::move(id);
    s.uses = used.id + ".yaml";
    s.used = std::make_shared<const Workflow>(std::move(used));
    return s;
}

Workflow task_of(std::vector<WorkflowStep> steps)
{
    auto task = workflow_of(std::move(steps));
    task.id = "task";
    return task;
}

}  // namespace

TEST_SUITE_BEGIN("workflow uses");

TEST_CASE("a file that a step uses is read with the first one")
{
    TemporaryFolder folder;
    write_file(folder / "flows/task.yaml", task_file);
    write_file(folder / "w.yaml",
               "id: w\nsteps:\n  - {id: do, uses: flows/../flows/task.yaml, params: {task: x}}\n");
    const auto loaded = load_workflow(folder / "w.yaml");
    REQUIRE_MESSAGE(loaded.workflow, to_string(loaded.errors));
    const auto& step = loaded.workflow->steps.front();
    REQUIRE(step.used);
    CHECK(step.used->id == "task");
    CHECK(step.used->path == fs::canonical(folder / "flows/task.yaml").string());
    write_file(folder / "flows/task.yaml", std::string(task_file) + "# changed\n");
    CHECK(load_workflow(folder / "w.yaml").workflow->hash != loaded.workflow->hash);
}

TEST_CASE("parameters of a used workflow are checked when the file is read")
{
    CHECK(errors_of_step("params: {task: x, count: 2, deep: true, files: [a]}").empty());
    CHECK(
        errors_of_step("params: {task: '{params.n}', count: '{params.n}', prompt: do it}").empty());
    CHECK(errors_of_step("name: Do")
              .starts_with(
                  "w.yaml:6:11: Step 'do': The parameter 'task' of 'task.yaml' must be given"));
    CHECK(errors_of_step("params: {task: x, counts: 2}") ==
          "w.yaml:7:31: Step 'do': The workflow 'task.yaml' has no parameter 'counts' / Did you "
          "mean 'count'?\n");
    CHECK(errors_of_step("params: {task: x, count: many}") ==
          "w.yaml:7:30: Step 'do': The parameter 'count' of 'task.yaml' must be a number, and this "
          "is text\n");
    CHECK(errors_of_step("params: {task: [x]}").find("must be a single value") !=
          std::string::npos);
    CHECK(errors_of_step("params: {task: '{params.m}'}").find("There is no parameter 'm'") !=
          std::string::npos);
}

TEST_CASE("what is about one command is refused beside a used workflow")
{
    for (const auto* const field :
         {"agent: a", "command: make", "argv: [make]", "manual: true", "worktree: ../x",
          "idempotent: true", "retry_from: clean", "commit: creates", "env_refs: [A]",
          "metadata: {max_cost: 1}", "metadata: {retry: {max_attempts: 2}}"}) {
        CAPTURE(field);
        const std::string text = field;
        auto name = text.substr(0, text.find(':'));
        if (name == "metadata")
            name = text.find("retry") != text.npos ? "retry" : "metadata.max_cost";
        const auto errors = errors_of_step("params: {task: x}\n    " + text);
        CHECK_MESSAGE(errors.find(fmt::format("'{}' and 'uses' exclude each other", name)) !=
                          std::string::npos,
                      errors);
    }
}

TEST_CASE("text of agents does not get into a script of a used workflow")
{
    const std::string script =
        "id: task\nparams: {task: null}\nsteps:\n  - {id: code, command: 'make {params.task}'}\n";
    CHECK(errors_of_step("params: {task: '{params.n}'}", script).empty());
    for (const auto* const lines :
         {"params: {task: '{steps.plan.results.x}'}",
          "for_each: plan.results.tasks\n    params: {task: 'Do {item}'}"}) {
        const auto errors = errors_of_step(lines, script);
        CHECK_MESSAGE(errors.find("In 'task.yaml', step 'code', command: 'params.task' cannot be "
                                  "part of a script") != std::string::npos,
                      errors);
        CHECK(errors_of_step(lines).empty());
    }
    const std::string each =
        "id: task\nparams: {task: []}\nsteps:\n"
        "  - {id: code, command: 'make {item}', for_each: params.task}\n";
    CHECK(errors_of_step("params: {task: '{steps.plan.results.x}'}", each).find("'item' cannot") !=
          std::string::npos);
}

TEST_CASE("text of agents is followed through several files")
{
    TemporaryFolder folder;
    write_file(folder / "c.yaml",
               "id: c\nparams: {y: null}\nsteps: [{id: z, command: 'make {params.y}'}]\n");
    write_file(folder / "b.yaml",
               "id: b\nparams: {x: null}\n"
               "steps: [{id: y, uses: c.yaml, params: {y: 'a {params.x}'}}]\n");
    write_file(folder / "w.yaml",
               "id: w\nsteps:\n  - {id: plan, command: make, results: p.json}\n"
               "  - {id: x, uses: b.yaml, params: {x: '{steps.plan.results.n}'}}\n");
    const auto errors = errors_in(folder.path());
    CHECK_MESSAGE(errors.find("In 'b.yaml', step 'y', params: In 'c.yaml', step 'z', command: "
                              "'params.y' cannot be part of a script") != std::string::npos,
                  errors);
}

TEST_CASE("problems in a used file have its name")
{
    CHECK(errors_of_step("params: {task: x}", "id: task\nsteps:\n  - {id: a, if: x, command: y}\n")
              .starts_with("w.yaml:6:11: Step 'do': 'task.yaml' has errors\n"
                           "task.yaml:3:13: Step 'a': Unknown field 'if'"));
}

TEST_CASE("files outside of the project are refused, also by links")
{
    TemporaryFolder folder;
    const auto use = [&](const std::string& uses) {
        write_file(folder / "project/w.yaml", "id: w\nsteps: [{id: do, uses: " + uses + "}]\n");
        return errors_in(folder / "project");
    };
    write_file(folder / "other.yaml", "id: o\nsteps: [{id: a, command: make}]\n");
    write_file(folder / "project/in.yaml", "id: i\nsteps: [{id: a, command: make}]\n");
    fs::create_symlink("../other.yaml", folder / "project/link.yaml");
    fs::create_symlink("in.yaml", folder / "project/inner.yaml");
    CHECK(use("inner.yaml").empty());
    CHECK(use("../other.yaml").find("'../other.yaml' is outside the project") != std::string::npos);
    CHECK(use("link.yaml").find("'link.yaml' is outside the project") != std::string::npos);
    CHECK(use((folder / "other.yaml").string()).find("is not a relative path") !=
          std::string::npos);
    CHECK(use("none.yaml").find("cannot be read: No such file or directory") != std::string::npos);
    CHECK(use(".").find("it is a directory") != std::string::npos);
    (void)use("../other.yaml");
    WorkflowReadOptions options;
    options.project_root = folder.path();
    CHECK(errors_in(folder / "project", options).empty());
}

TEST_CASE("files that use each other in a ring, or too deep, are refused")
{
    TemporaryFolder folder;
    const auto use = [&](const std::string& file, const std::string& used) {
        write_file(folder / (file + ".yaml"),
                   "id: " + file + "\nsteps: [{id: do, uses: " + used + ".yaml}]\n");
    };
    use("w", "b");
    use("b", "c");
    use("c", "b");
    const auto errors = errors_in(folder.path());
    CHECK_MESSAGE(errors.find("These workflow files use each other: ") != std::string::npos,
                  errors);
    CHECK_MESSAGE(errors.find("b.yaml → ") != std::string::npos, errors);
    CHECK(errors.find("c.yaml:2:") != std::string::npos);
    write_file(folder / "f8.yaml", "id: f8\nsteps: [{id: a, command: make}]\n");
    for (int n = 7; n >= 1; --n) use(fmt::format("f{}", n), fmt::format("f{}", n + 1));
    use("w", "f2");
    CHECK(errors_in(folder.path()).empty());
    use("w", "f1");
    CHECK(errors_in(folder.path()).find("more than 8 deep") != std::string::npos);
    // Also if the deeper files are known already.
    write_file(folder / "w.yaml",
               "id: w\nsteps: [{id: a, uses: f5.yaml}, {id: b, uses: f2.yaml}]\n");
    CHECK(errors_in(folder.path()).empty());
    write_file(folder / "w.yaml",
               "id: w\nsteps: [{id: a, uses: f2.yaml}, {id: b, uses: f1.yaml}]\n");
    CHECK(errors_in(folder.path()).find("more than 8 deep") != std::string::npos);
}

TEST_CASE("workflows that are one within the other too deep are refused without files, too")
{
    std::vector<WorkflowStep> uses{using_step("a", task_of({step("code")}))};
    for (int depth = 2; depth <= 8; ++depth)
        uses.push_back(using_step("a", task_of({uses.back()})));
    CHECK(problems_of(workflow_of({uses[6]})).empty());
    uses[7].id = "b";
    const auto problems = problems_of(workflow_of({uses[2], uses[7]}));
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().find("more than 8 are one within the other") != std::string::npos);
}

TEST_CASE("a run begins a child run although others have begun all that may be open")
{
    const auto all = std::make_shared<workflow::CommandLimit>(1, nullptr);
    const auto first = std::make_shared<workflow::CommandLimit>(0, all);
    const auto second = std::make_shared<workflow::CommandLimit>(0, all);
    auto place = first->take();
    CHECK_FALSE(first->has_room());
    CHECK_FALSE(first->is_empty());
    CHECK_FALSE(second->has_room());
    CHECK(second->is_empty());
    place.reset();
    CHECK(second->has_room());
    CHECK(first->is_empty());
}

TEST_CASE_FIXTURE(WorkflowFixture, "a step runs a workflow in a run of its own")
{
    auto task = task_of({step("code"), step("review", {"code"})});
    task.params = {{"task", nullptr}, {"count", 1}, {"deep", false}};
    task.steps[0].argv = {"make", "{params.task}", "{params.count}", "{params.deep}"};
    auto use = using_step("do", task);
    use.params = {{"task", "a {params.what}"}, {"count", "{params.many}"}};
    auto w = workflow_of({use, step("after", {"do"})});
    w.params = {{"what", "b"}, {"many", 4}};
    std::vector<std::string> children;
    run_options.on_event = [&](const WorkflowEvent& event) {
        note(event);
        if (event.type == WorkflowEvent::Type::run_started && !event.parent_steps.empty()) {
            CHECK(event.parent_steps == "do");
            CHECK(event.workflow_id == "task");
            children.push_back(event.run_id);
        }
    };
    run(w);
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(story == Lines{"+do", "+code", "code completed", "+review", "review completed",
                         "do completed", "+after", "after completed"});
    CHECK(commands.front() == "make 'a b' 4 false");
    REQUIRE(children.size() == 1);
    CHECK(of("do").child_run == children.front());
    CHECK_FALSE(of("do").execution);
    CHECK(journal().steps.front().child_run == children.front());
    CHECK(journal().steps.front().child_runs == children);
    std::string problem;
    const auto child = workflow::read_run(project.path(), children.front(), problem);
    REQUIRE_MESSAGE(child, problem);
    CHECK(child->parent_run == result.run_id);
    CHECK(child->parent_step == "do");
    CHECK(child->status == WorkflowStatus::completed);
}

TEST_CASE_FIXTURE(WorkflowFixture, "in place, the child runs of items take turns")
{
    auto use = using_step("do", task_of({step("code"), step("review", {"code"})}));
    use.for_each.emplace();
    use.for_each->list = {"x", "y"};
    // With one command at once, steps that only wait for child runs do not count.
    run_options.max_parallel = 1;
    run(workflow_of({use, step("beside")}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("do.1").child_run != of("do.2").child_run);
    const auto at = [this](const std::string& what) { return std::ranges::find(story, what); };
    CHECK(at("do.1 completed") < at("+do.2"));
    CHECK(at("beside completed") < story.end());
    CHECK(std::ranges::count(story, "review completed") == 2);
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "the commands of a run and of its child runs are limited together")
{
    const auto task_in = [this](const std::string& tree) {
        tree_at(tree);
        auto code = step("code");
        code.worktree = tree;
        return using_step(tree, task_of({code}));
    };
    // Apart from the folder of the project, in which the steps themselves take turns.
    auto outer = using_step("outer", task_of({task_in("x")}));
    tree_at("y");
    auto beside = step("beside");
    beside.worktree = "y";
    SUBCASE("to one")
    {
        run_options.max_parallel = 1;
        run(workflow_of({outer, beside}));
        CHECK(result.duration == 2s);
    }
    SUBCASE("by the workflow")
    {
        auto w = workflow_of({outer, beside});
        w.max_parallel = 1;
        run(w);
        CHECK(result.duration == 2s);
    }
    SUBCASE("to two")
    {
        run_options.max_parallel = 2;
        run(workflow_of({outer, beside}));
        CHECK(result.duration == 1s);
    }
    CHECK(result.status == WorkflowStatus::completed);
}

TEST_CASE_FIXTURE(WorkflowFixture, "the failure of a child run is that of its step")
{
    replies["code"].status = ReportedStatus::failed;
    auto use = using_step("do", task_of({step("code"), step("review", {"code"})}));
    use.continue_on_error = true;
    run(workflow_of({use, step("after", {"do"})}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("do").state == StepState::failed);
    CHECK(of("do").tolerated);
    CHECK(of("do").code == "child_run");
    CHECK(of("do").reason ==
          fmt::format("The child run {} failed: Step 'code': as scripted", of("do").child_run));
    CHECK(of("after").state == StepState::completed);
}

TEST_CASE_FIXTURE(WorkflowFixture, "a value of the wrong type fails the step")
{
    auto task = task_of({step("code")});
    task.params = {{"count", 1}};
    auto use = using_step("do", task);
    use.params = {{"count", "{params.what}"}};
    auto w = workflow_of({use});
    w.params = {{"what", "many"}};
    run(w);
    CHECK(of("do").state == StepState::failed);
    CHECK(of("do").reason.find("The parameter 'count' must be a number.") != std::string::npos);
    CHECK(commands.empty());
}

TEST_CASE_FIXTURE(WorkflowFixture, "a step that takes too long ends its child run")
{
    replies["code"].after = 100s;
    auto use = using_step("do", task_of({step("code")}));
    use.timeout = 10s;
    run(workflow_of({use}));
    CHECK(of("do").state == StepState::timeout);
    CHECK(result.duration < 30s);
    std::string problem;
    const auto child = workflow::read_run(project.path(), of("do").child_run, problem);
    REQUIRE(child);
    CHECK(child->status == WorkflowStatus::cancelled);
}

TEST_CASE_FIXTURE(WorkflowFixture, "a cancellation reaches child runs, however deep")
{
    replies["code"].after = 100s;
    auto inner = using_step("inner", task_of({step("code")}));
    start(workflow_of({using_step("do", task_of({inner, step("later", {"inner"})}))}));
    bool by_request = false;
    SUBCASE("by a signal") {}
    SUBCASE("by a request")
    {
        by_request = true;
    }
    clock->at(5s, [&] {
        const auto runs = workflow::list_runs(project.path());
        REQUIRE(runs.size() == 3);
        const auto outermost =
            std::ranges::find_if(runs, [](const std::string& id) { return id.starts_with("w-"); });
        if (by_request)
            CHECK_FALSE(workflow::ask_to_cancel_run(project.path(), *outermost));
        else
            cancel.emit(asio::cancellation_type::partial);
    });
    clock->run(ctx);
    CHECK(results == 1);
    CHECK(result.status == WorkflowStatus::cancelled);
    CHECK(result.duration < 30s);
    for (const auto& id : workflow::list_runs(project.path())) {
        std::string problem;
        const auto record = workflow::read_run(project.path(), id, problem);
        REQUIRE(record);
        CHECK(record->status == WorkflowStatus::cancelled);
    }
}

TEST_CASE_FIXTURE(WorkflowFixture, "a budget that is spent stops child runs, which can be resumed")
{
    bool is_spent = false;
    run_options.refuse_start = [&is_spent] { return std::string(is_spent ? "Spent" : ""); };
    on_command = [&](const std::string& id) {
        is_spent |= id == "code";
        return Reply();
    };
    run(workflow_of({using_step("do", task_of({step("code"), step("review", {"code"})}))}));
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(commands.size() == 1);
    CHECK(of("do").code == "budget");
}

TEST_CASE_FIXTURE(WorkflowFixture, "agents of used workflows are chosen before anything starts")
{
    options.assign = [](const WorkflowStep& s, CommandRequest&) -> std::string {
        return s.id == "review" ? "Nobody does that." : "";
    };
    run(workflow_of({step("first"), using_step("do", task_of({step("code"), step("review")}))}));
    CHECK(ec == errc::invalid_workflow);
    CHECK(result.error == "In 'task.yaml': Step 'review': Nobody does that.\n");
    CHECK(commands.empty());
}

TEST_CASE_FIXTURE(WorkflowFixture, "variables of a step are those of its child run")
{
    auto task = task_of({step("code")});
    task.env = {{"B", "task"}};
    auto use = using_step("do", task);
    use.env = {{"A", "step"}, {"B", "step"}, {"C", "step"}};
    auto w = workflow_of({use});
    w.env = {{"A", "all"}, {"D", "all"}};
    run_options.env = {{"C", "given"}};
    run(w);
    const auto& published = tree_at("").published;
    REQUIRE(published.size() == 1);
    const auto& env = published.front().env;
    CHECK(env.at("A") == "step");
    CHECK(env.at("B") == "task");
    CHECK(env.at("C") == "given");
    CHECK(env.at("D") == "all");
    CHECK(env.at("AUTOEXEC_STEP_ID") == "code");
    CHECK(env.at("AUTOEXEC_RUN_ID") == of("do").child_run);
}

TEST_CASE("a workflow with one worktree for all steps cannot use others")
{
    auto w = workflow_of({using_step("do", task_of({step("code")}))});
    w.worktrees = WorktreeMode::workflow;
    const auto problems = problems_of(w);
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().starts_with("do uses[0]: With 'worktree: workflow'"));
}

TEST_SUITE_END();
