#include "support/git_project.hpp"
#include "support/sweep.hpp"

using namespace autoexec::test;

/// Steps with `cache`, as a person sees them.

namespace {

const Words steps = {
    "id: plan, agent: x, action: y, cache: true, idempotent: true, results: reports/plan.json",
    "id: code, agent: x, action: y, cache: true, idempotent: true, depends_on: [plan], "
    "creates: [build/app], params: {goal: '{steps.plan.results.goal}'}",
    "id: close, argv: [sh, -c, 'cat build/app >closed'], requires: [build/app], idempotent: true"};

void script(GitProject& project)
{
    project.write(".gitignore", "build/\n");
    project.committed_steps(steps);
    project.on("plan", R"(echo '{"goal": "tea"}' >$results)");
    project.on("code", "mkdir -p build; echo tea >build/app; echo tea >code");
}

std::string cached_refs(const GitProject& project)
{
    return project.git({"for-each-ref", "--format=%(refname)", "refs/autoexec/cache"});
}

}  // namespace

TEST_SUITE_BEGIN("workflow cache");

TEST_CASE("cached steps name the run that their work is from, and cost nothing")
{
    GitProject project;
    script(project);
    auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "plan code");
    const auto first = text_at(project.newest_run(), "run_id");
    const auto files = project.files();

    ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "plan code");
    CHECK(contains(ended.out, "plan  (cached, from " + first + ")\n"));
    CHECK(contains(ended.out, "code  (cached, from " + first + ")\n"));
    CHECK(steps_with(ended, "completed") == "plan code close");
    CHECK(project.files() == files);
    CHECK(project.is_untouched());
    const auto status = project.run({"workflow", "status"});
    CHECK(contains(status.out, "plan   (cached, from " + first + ")"));
    const auto run = project.newest_run();
    const auto& step = run.at("steps").as_array().at(0).get_object();
    CHECK(text_at(step, "cached_from") == first);
    CHECK(step.at("usage").is_null());
    const auto report = project.run({"workflow", "report"});
    CHECK(contains(report.out, "- `plan` was cached, from `" + first + "`\n"));

    ended = project.go({"--no-cache"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "plan code plan code");
    ended = project.go({"--in-place"});
    CHECK(project.asked() == "plan code plan code plan code");
}

TEST_CASE("old cached work is removed by gc")
{
    GitProject project;
    script(project);
    REQUIRE(project.go().code == 0);
    CHECK(lines_of(cached_refs(project)).size() == 2);
    auto ended = project.run({"worktree", "gc"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(lines_of(cached_refs(project)).size() == 2);
    REQUIRE(project.go().code == 0);
    CHECK(project.asked() == "plan code");
    ended = project.run({"worktree", "gc", "--all", "--older-than", "0"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.out, "removed refs/autoexec/cache/"));
    CHECK(cached_refs(project).empty());
}

TEST_CASE("a run that takes over work is resumed wherever it was killed, with the same result" *
          doctest::test_suite("sweep"))
{
    GitProject project;
    script(project);
    REQUIRE(project.go().code == 0);
    const auto files = project.files();
    const auto of_one = project.lines_in_journals();
    std::size_t before = of_one;
    const std::size_t stride = is_long_form() ? 1 : 3;
    for (std::size_t moment = 1; moment <= of_one; moment += stride) {
        CAPTURE(moment);
        project.go_with_kill_at(before + moment);
        before = project.lines_in_journals();
        CHECK(project.files() == files);
        CHECK(project.is_untouched());
    }
    CHECK(project.asked() == "plan code");
}

TEST_SUITE_END();
