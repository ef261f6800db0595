#include "support/workflow_git_fixture.hpp"

#include <doctest/doctest.h>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("workflows over git");

TEST_CASE_FIXTURE(GitFixture,
                  "what steps have made comes together on a branch, and the checkout is left alone")
{
    auto a = script("a", "echo a >a");
    a.creates = {"a"};
    auto d = script("d", "cat a b c >d", {"b", "c"});
    d.needs = {"a"};
    go(workflow_of({a, script("b", "cat a >b; echo b >>b", {"a"}),
                    script("c", "cat a >c; echo c >>c", {"a"}), d}));
    CHECK(result.error == "");
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(made("d") == "a\na\nb\na\nc\n");
    CHECK(made("file") == "one\n");
    CHECK(result.commit == id(result.branch));
    CHECK(git({"log", "--format=%s", "-1", of("a").commit}) == "w: a (attempt 1)");
    CHECK(git({"log", "--format=%b", "-1", of("a").commit}).find("Run: " + result.run_id) !=
          std::string::npos);
    // What nobody has built upon ran side by side, from the same commit.
    CHECK(git({"rev-parse", of("b").commit + "^"}) == of("a").commit);
    CHECK(git({"rev-parse", of("c").commit + "^"}) == of("a").commit);
}

TEST_CASE_FIXTURE(GitFixture, "the result is the same tree, however the steps' times fall")
{
    const auto w = [](bool first) {
        return workflow_of({script("a", first ? "sleep 0.2; echo a >a" : "echo a >a"),
                            script("b", first ? "echo b >b" : "sleep 0.2; echo b >b"),
                            script("c", "echo c >c")});
    };
    go(w(true));
    const auto tree = id(result.branch + "^{tree}");
    go(w(false));
    CHECK(id(result.branch + "^{tree}") == tree);
}

TEST_CASE_FIXTURE(
    GitFixture,
    "a conflict names the file and both sides, is resolved by hand, and the run goes on")
{
    auto c = script("c", "cat file >>both", {"a", "b"});
    const auto w = workflow_of({script("a", "echo a >file"), script("b", "echo b >file"), c});
    go(w);
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(of("c").code == "merge_conflict");
    CHECK(of("c").reason.find("'a' and of 'b' conflicts in file (content") != std::string::npos);
    CHECK(of("a").state == StepState::completed);
    const auto begin = of("c").reason.find("Resolve it in '") + 15;
    const fs::path where = of("c").reason.substr(begin, of("c").reason.find('\'', begin) - begin);
    REQUIRE(fs::is_directory(where));
    CHECK(read_file(where / "file").find("<<<<<<<") != std::string::npos);

    go(w, WorkflowResumeOptions{});
    CHECK(of("c").code == "merge_conflict");

    write_file(where / "file", "both\n");
    git_in(where, {"commit", "-q", "-a", "-m", "resolved"});
    go(w, WorkflowResumeOptions{});
    CHECK(result.error == "");
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(made("both") == "both\n");
    CHECK(of("a").execution->attempts == 1);
}

TEST_CASE_FIXTURE(
    GitFixture,
    "a conflict that only shows in the end fails the later step, and can be resolved, too")
{
    const auto w = workflow_of({script("a", "echo a >file"), script("b", "echo b >file")});
    go(w);
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(of("a").state == StepState::completed);
    CHECK(of("b").code == "merge_conflict");
    const auto begin = of("b").reason.find("Resolve it in '") + 15;
    const fs::path where = of("b").reason.substr(begin, of("b").reason.find('\'', begin) - begin);
    write_file(where / "file", "both\n");
    git_in(where, {"commit", "-q", "-a", "-m", "resolved"});
    go(w, WorkflowResumeOptions{});
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(made("file") == "both\n");
}

TEST_CASE_FIXTURE(GitFixture, "a step that is run again sees the results of the review")
{
    auto write = script("write", "cat note >>story 2>/dev/null; echo chapter >>story");
    auto review = script("review",
                         "echo better >note; echo \"{\\\"ok\\\": $(grep -q better story && "
                         "echo true || echo false)}\" >r.json",
                         {"write"});
    review.results = "r.json";
    review.gate = gate("ok", to("write"));
    go(workflow_of({write, review}));
    CHECK(result.error == "");
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(made("story") == "chapter\nbetter\nchapter\n");
    CHECK(of("write").round == 2);
}

TEST_CASE_FIXTURE(GitFixture, "all steps can take turns in one new worktree of the run")
{
    run_options.worktrees = WorktreeMode::workflow;
    go(workflow_of({script("a", "echo a >a; echo left >>ignored"), script("b", "cat a >b")}));
    CHECK(result.error == "");
    CHECK(made("b") == "a\n");
    CHECK(of("a").execution->worktree == of("b").execution->worktree);
}

TEST_CASE_FIXTURE(GitFixture,
                  "what a step that failed has left in the tree of all is not the next one's")
{
    run_options.worktrees = WorktreeMode::workflow;
    go(workflow_of(
        {script("a", "echo half >a; echo changed >file; exit 1"), script("b", "ls >list")}));
    CHECK(of("a").state == StepState::failed);
    CHECK(of("b").state == StepState::completed);
    CHECK_FALSE(contains(made("list"), "a\n"));
    CHECK(made("file") != "changed\n");
    CHECK(contains(git({"for-each-ref", "refs/autoexec/salvage"}), "refs/autoexec/salvage/"));
}

TEST_CASE_FIXTURE(GitFixture, "a branch of the user gets the work only on request")
{
    git({"branch", "release"});
    run_options.merge_into = "release";
    go(workflow_of({script("a", "echo a >a")}));
    CHECK(result.error == "");
    CHECK(content("release", "a") == "a\n");
    CHECK_FALSE(fs::exists(root() / "a"));
    SUBCASE("a checkout of it follows")
    {
        run_options.merge_into = "main";
        go(workflow_of({script("b", "echo b >b")}));
        CHECK(result.status == WorkflowStatus::completed);
        CHECK(read_file(root() / "b") == "b\n");
        CHECK(status(root()) == "");
    }
    SUBCASE("unless changes are in the way")
    {
        write("file", "mine\n");
        const auto before = head();
        run_options.merge_into = "main";
        go(workflow_of({script("b", "echo b >file")}));
        CHECK(result.status == WorkflowStatus::failed);
        CHECK(result.error.find("'main'") != std::string::npos);
        CHECK(head() == before);
        CHECK(read_file(root() / "file") == "mine\n");
        CHECK(made("file") == "b\n");
    }
}

TEST_CASE_FIXTURE(GitFixture,
                  "a failed step's work stays in its worktree, and a resumed run continues it")
{
    auto b = script("b", "echo b >>b; test -e $HOME/mended", {"a"});
    const auto w = workflow_of({script("a", "echo a >a"), b, script("c", "cat a b >c", {"b"})});
    go(w);
    CHECK(result.status == WorkflowStatus::failed);
    const auto tree = of("b").execution->worktree;
    CHECK(read_file(tree / "b") == "b\n");
    CHECK(made("a") == "a\n");
    write_file(folder / "home/mended", "");
    WorkflowResumeOptions what;
    what.from_failed = true;
    go(w, what);
    CHECK(result.error == "");
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("b").execution->worktree == tree);
    CHECK(made("c") == "a\nb\nb\n");
}

TEST_CASE_FIXTURE(GitFixture, "a run is resumed from a journal that ends where a step started")
{
    bool has_metrics = true;
    SUBCASE("and its execution is known") {}
    SUBCASE("and nothing else is known")
    {
        has_metrics = false;
    }
    const auto w = workflow_of({script("a", "echo a >>a"), script("b", "cat a >>b", {"a"})});
    go(w);
    REQUIRE(result.status == WorkflowStatus::completed);
    const auto file =
        root() / ".tapps-agents/workflow-state" / workflow::journal_name(result.run_id);
    const auto whole = read_file(file);
    std::size_t cuts = 0;
    for (auto at = whole.find("step_started"); at != whole.npos;
         at = whole.find("step_started", at + 1)) {
        write_file(file, whole.substr(0, whole.find('\n', at) + 1));
        git({"update-ref", "refs/heads/" + result.branch, head()});
        if (!has_metrics) fs::remove_all(root() / ".tapps-agents/metrics");
        go(w, WorkflowResumeOptions{});
        CHECK_FALSE(ec);
        CHECK(result.error == "");
        CHECK(made("a") == "a\n");
        CHECK(made("b") == "a\n");
        ++cuts;
    }
    CHECK(cuts == 2);
}

TEST_CASE_FIXTURE(GitFixture,
                  "a failed step goes on from a clean tree where it says so, in both modes")
{
    SUBCASE("each step in its own") {}
    SUBCASE("all in one")
    {
        run_options.worktrees = WorktreeMode::workflow;
    }
    auto b = script("b", "echo b >>b; test -e $HOME/mended", {"a"});
    b.retry_from_clean = true;
    const auto w = workflow_of({script("a", "echo a >a"), b, script("c", "cat a b >c", {"b"})});
    go(w);
    write_file(folder / "home/mended", "");
    WorkflowResumeOptions what;
    what.from_failed = true;
    go(w, what);
    CHECK(result.error == "");
    CHECK(made("c") == "a\nb\n");
    const auto saved = git({"for-each-ref", "--format=%(refname)", "refs/autoexec/salvage/"});
    CHECK(content(saved, "b") == "b\n");
}

TEST_CASE_FIXTURE(GitFixture,
                  "a retry goes on from what was left, or from a clean tree, and nothing is lost")
{
    auto a =
        script("a", "echo try >>file; test -e $HOME/second || { touch $HOME/second; exit 75; }");
    a.retry = RetryPolicy{2, 1ms, 1.0, 1ms};
    a.retry_from_clean = true;
    go(workflow_of({a}));
    CHECK(result.error == "");
    CHECK(made("file") == "one\ntry\n");
    const auto saved = git({"for-each-ref", "--format=%(refname)", "refs/autoexec/salvage/"});
    REQUIRE_FALSE(saved.empty());
    CHECK(content(saved, "file") == "one\ntry\n");
    fs::remove(folder / "home/second");
    a.retry_from_clean = false;
    go(workflow_of({a}));
    CHECK(made("file") == "one\ntry\ntry\n");
}

TEST_CASE_FIXTURE(GitFixture,
                  "what cannot be done in this repository is reported before anything starts")
{
    SUBCASE("a branch called workflow is in the way")
    {
        git({"branch", "workflow"});
        go(workflow_of({script("a", "true")}));
        CHECK(ec == errc::invalid_workflow);
        CHECK(result.error.find("git branch -m workflow") != std::string::npos);
        CHECK(workflow::list_runs(root()).empty());
    }
    SUBCASE("what is required is not in the commit")
    {
        write("uncommitted", "x");
        auto a = script("a", "true");
        a.needs = {"uncommitted"};
        go(workflow_of({a}));
        CHECK(ec == errc::invalid_workflow);
        CHECK(result.error.find("not in the commit") != std::string::npos);
        a.needs = {"folder/other"};
        go(workflow_of({a}));
        CHECK(result.status == WorkflowStatus::completed);
    }
    SUBCASE("there is no such commit")
    {
        run_options.base = "nowhere";
        go(workflow_of({script("a", "true")}));
        CHECK(ec == errc::invalid_workflow);
    }
}

TEST_CASE_FIXTURE(GitFixture, "a condition knows the worktree that its step will get")
{
    auto a = script("a", "pwd >place");
    a.condition = "worktree != '" + (trees() / "other").string() + "'";
    a.gate = gate("a.round >= 2 and exists('place')", {GateTarget::Kind::again, {}});
    auto b = script("b", "pwd >other");
    b.condition = "worktree == '" + root().string() + "'";
    go(workflow_of({a, b}));
    REQUIRE(result.error == "");
    CHECK(of("a").state == StepState::completed);
    CHECK(of("b").state == StepState::skipped);
}

TEST_CASE_FIXTURE(GitFixture, "thirty steps side by side are made, run and brought together")
{
    auto w = workflow_of({});
    std::string expected;
    for (int i = 10; i < 40; ++i) {
        const auto name = "s" + std::to_string(i);
        w.steps.push_back(script(name, "echo " + name + " >" + name));
        expected += name + "\n";
    }
    go(w);
    CHECK(result.error == "");
    CHECK(files(result.branch) == "file\nfolder/other\n" + expected.substr(0, expected.size() - 1));
}

TEST_SUITE_END();
