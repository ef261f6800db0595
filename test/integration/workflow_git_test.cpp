#include "agent/agents_file_reader.hpp"
#include "autoexec/agent.hpp"
#include "autoexec/workflow_executor.hpp"
#include "support/workflows.hpp"
#include "support/worktree_fixture.hpp"
#include "workflow/journal/journal.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

/// A step that runs a script in its worktree.
WorkflowStep script(std::string id, std::string text, Words depends_on = {})
{
    auto s = step(std::move(id), std::move(depends_on));
    s.argv = {"/bin/sh", "-c", std::move(text)};
    return s;
}

/// Runs of workflows in a real repository, by the bundled agent.
struct GitFixture : WorktreeFixture {
    const WorkflowResult& go(const Workflow& w, std::optional<WorkflowResumeOptions> resume = {})
    {
        asio::io_context ctx;
        ExecutorOptions o;
        o.project_root = root();
        o.notifier = local_notifier();
        o.enable_audit = false;
        MetricsOptions metrics;
        metrics.project_root = root();
        o.metrics = std::make_shared<ExecutionMetricsCollector>(ctx.get_executor(), metrics);
        BackgroundAgentAutoExecutor engine(ctx.get_executor(), o);
        AgentOptions a;
        a.project_root = root();
        auto reading = parse_agents(
            "agents: [{name: sh, type: background, commands: ['sh -c {command}'], "
            "accept_argv: true}]",
            "agents.yaml");
        a.agents = reading.file;
        a.notifier = o.notifier;
        a.find_worktrees = false;
        a.heartbeat_interval = 0ms;
        a.spawner = options.spawner;
        BackgroundAgent agent(ctx.get_executor(), a);
        WorkflowExecutorOptions e;
        e.project_root = root();
        e.metrics = o.metrics;
        e.spawner = options.spawner;
        e.min_free_bytes = 0;
        e.on_worktree = [&](const fs::path& tree) { agent.add_worktree(tree); };
        WorkflowExecutor executor(engine, e);
        asio::co_spawn(ctx, agent.run(), asio::detached);
        const auto done = [&](error_code code, WorkflowResult r) {
            ec = code;
            result = std::move(r);
            asio::co_spawn(ctx, agent.stop(), asio::detached);
        };
        const auto checked_out = git({"status", "--porcelain", "--branch"}) + head();
        if (resume)
            executor.async_resume(workflow::list_runs(root()).front(), w, *resume, run_options,
                                  done);
        else
            executor.async_run(w, run_options, done);
        ctx.run();
        if (run_options.merge_into.empty())
            CHECK(git({"status", "--porcelain", "--branch"}) + head() == checked_out);
        return result;
    }
    [[nodiscard]] const StepResult& of(std::string_view id) const
    {
        for (const auto& s : result.steps)
            if (s.id == id) return s;
        FAIL("there is no step ", id);
        return result.steps.front();
    }
    [[nodiscard]] std::string made(const std::string& path) const
    {
        return content(result.branch, path);
    }

    WorkflowRunOptions run_options = [] {
        WorkflowRunOptions o;
        o.worktrees = WorktreeMode::step;
        return o;
    }();
    error_code ec;
    WorkflowResult result;
};

}  // namespace

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

namespace {

/// Steps whose work may come from an earlier run. Each notes that it has run.
struct CacheFixture : GitFixture {
    CacheFixture()
    {
        write(".gitignore", "build/\n");
        commit("ignore");
        build = cached("build", "mkdir -p build && cat file >build/app && echo built >log");
        build.creates = {"build/app", "log"};
        use = cached("use", "cat build/app log >out", {"build"});
        use.needs = {"build/app"};
    }

    WorkflowStep cached(const std::string& id, const std::string& text, Words depends_on = {})
    {
        auto s = script(id, "echo " + id + " >>'" + (folder / "ran").string() + "'; " + text,
                        std::move(depends_on));
        s.cache = true;
        return s;
    }

    /// The steps that have run since the last call.
    std::string ran()
    {
        auto text = fs::exists(folder / "ran") ? read_file(folder / "ran") : std::string();
        fs::remove(folder / "ran");
        std::ranges::replace(text, '\n', ' ');
        return text;
    }

    [[nodiscard]] Words entries() const
    {
        Words refs;
        for (const auto& ref : lines_of(
                 git({"for-each-ref", "--format=%(refname) %(objectname)", "refs/autoexec/cache"})))
            if (!ref.empty()) refs.push_back(ref);
        return refs;
    }

    WorkflowStep build;
    WorkflowStep use;
};

}  // namespace

TEST_CASE_FIXTURE(CacheFixture, "a later run takes over the work of steps that have not changed")
{
    go(workflow_of({build, use}));
    REQUIRE(result.error == "");
    const auto first = result;
    CHECK(ran() == "build use ");
    CHECK(of("build").cached_from.empty());
    CHECK(entries().size() == 2);

    go(workflow_of({build, use, script("close", "cat out >closed", {"use"})}));
    CHECK(result.error == "");
    CHECK(ran() == "");
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("build").cached_from == first.run_id);
    CHECK(of("use").cached_from == first.run_id);
    CHECK(of("close").cached_from.empty());
    CHECK(of("build").execution->attempts == 0);
    CHECK(of("build").execution->verified == Verification::all);
    CHECK_FALSE(of("build").execution->usage);
    CHECK(made("closed") == "one\nbuilt\n");
    CHECK(git({"log", "--format=%s", "-1", of("use").commit}) ==
          "w: use (cached, from " + first.run_id + ")");
    CHECK(git({"rev-parse", of("use").commit + "^"}) == of("build").commit);
    CHECK(
        lines_of(git({"for-each-ref", "--format=%(refname)", "refs/autoexec/artifacts"})).size() ==
        2);
    std::string problem;
    const auto record = workflow::read_run(root(), result.run_id, problem);
    REQUIRE(record);
    CHECK(record->steps[0].cached_from == first.run_id);
    // The work of that run is the source for the next one, too.
    go(workflow_of({build, use}));
    CHECK(ran() == "");
    CHECK(of("use").cached_from == first.run_id);
}

TEST_CASE_FIXTURE(CacheFixture, "whatever a step gets decides whether its work is taken over")
{
    const auto w = workflow_of({build, use});
    go(w);
    REQUIRE(ran() == "build use ");
    SUBCASE("its files")
    {
        write("file", "two\n");
        commit("two");
        go(w);
        CHECK(ran() == "build use ");
        CHECK(made("out") == "two\nbuilt\n");
    }
    SUBCASE("only those of its own start")
    {
        build.argv.back() += "; true";
        go(workflow_of({build, use}));
        CHECK(ran() == "build ");
        CHECK_FALSE(of("use").cached_from.empty());
    }
    SUBCASE("its variables")
    {
        use.env["MODE"] = "fast";
        go(workflow_of({build, use}));
        CHECK(ran() == "use ");
    }
    SUBCASE("what it creates")
    {
        build.creates.emplace_back("file");
        go(workflow_of({build, use}));
        CHECK(ran() == "build ");
    }
    SUBCASE("the name of its workflow")
    {
        auto other = w;
        other.id = "other";
        go(other);
        CHECK(ran() == "build use ");
    }
    SUBCASE("a value of the run")
    {
        use.argv.emplace_back("{run.id}");
        for (int k = 0; k < 2; ++k) {
            go(workflow_of({build, use}));
            CHECK(ran() == "use ");
        }
    }
    SUBCASE("that the run allows it")
    {
        run_options.use_cache = false;
        go(w);
        CHECK(ran() == "build use ");
        const auto second = result.run_id;
        run_options.use_cache = true;
        go(w);
        CHECK(ran() == "");
        CHECK(of("build").cached_from == second);
    }
    SUBCASE("that its entry is its own")
    {
        for (const auto& entry : entries()) {
            const auto name = entry.substr(0, entry.find(' '));
            git({"update-ref", name, "HEAD"});
        }
        go(w);
        CHECK(ran() == "build use ");
        const auto all = entries();
        REQUIRE(all.size() == 2);
        const auto name = [](const std::string& entry) { return entry.substr(0, entry.find(' ')); };
        git({"update-ref", name(all[0]), name(all[1])});
        go(w);
        CHECK(ran().size() > 0);
    }
}

TEST_CASE_FIXTURE(CacheFixture, "only whole work of the first round is stored")
{
    SUBCASE("not that of a step that failed")
    {
        build.argv.back() += "; exit 1";
        go(workflow_of({build}));
        CHECK(entries().empty());
    }
    SUBCASE("not without an artifact")
    {
        build.creates.emplace_back("missing");
        go(workflow_of({build}));
        CHECK(result.status == WorkflowStatus::completed);
        CHECK(entries().empty());
    }
    SUBCASE("not what a gate has sent back, or rejected")
    {
        auto review =
            cached("review", "echo '{\"round\": '$AUTOEXEC_ROUND'}' >review.json", {"build"});
        review.results = "review.json";
        review.gate = gate("round >= 2", to("build"));
        for (int k = 0; k < 2; ++k) {
            go(workflow_of({build, review}));
            CHECK(result.status == WorkflowStatus::completed);
            CHECK(ran() == "build review build review ");
            CHECK(entries().empty());
        }
        review.gate = gate("round >= 2", GateTarget{GateTarget::Kind::fail, {}});
        go(workflow_of({build, review}));
        CHECK(result.status == WorkflowStatus::failed);
        CHECK(entries().size() == 1);
        CHECK(ran() == "build review ");
    }
}

TEST_CASE_FIXTURE(CacheFixture, "gates and values use the results of cached work")
{
    auto check = cached("check", "echo '{\"score\": 7}' >score.json; echo said");
    check.results = "score.json";
    check.gate = gate("score >= 5", GateTarget{GateTarget::Kind::fail, {}});
    auto use_it = script("use", "echo \"$1 $2 $3\" >used", {"check"});
    use_it.argv.insert(use_it.argv.end(), {"sh", "{steps.check.results.score}",
                                           "{steps.check.output}", "{steps.check.exit_code}"});
    go(workflow_of({check, use_it}));
    REQUIRE(result.error == "");
    CHECK(made("used") == "7 said 0\n");
    ran();
    go(workflow_of({check, use_it}));
    CHECK(result.error == "");
    CHECK(ran() == "");
    CHECK(of("check").gate_passed == true);
    CHECK(made("used") == "7 said 0\n");
    check.gate = gate("score >= 9", GateTarget{GateTarget::Kind::fail, {}});
    go(workflow_of({check, use_it}));
    CHECK(of("check").state == StepState::failed);
    CHECK(of("check").cached_from != "");
    CHECK(entries().empty());
}

TEST_CASE_FIXTURE(CacheFixture, "each item has work of its own")
{
    auto each = cached("each", "echo $1 >item-$1");
    each.argv.insert(each.argv.end(), {"sh", "{item}"});
    each.for_each.emplace();
    each.for_each->list = {"a", "b"};
    go(workflow_of({each}));
    REQUIRE(result.error == "");
    CHECK(ran() == "each each ");
    each.for_each->list = {"a", "c"};
    go(workflow_of({each}));
    CHECK(result.error == "");
    CHECK(ran() == "each ");
    CHECK(of("each.1").cached_from != "");
    CHECK(of("each.2").cached_from == "");
    CHECK(files(result.branch).find("item-a\nitem-c") != std::string::npos);
}

TEST_CASE_FIXTURE(CacheFixture, "cached work of a repository that has lost it fails its step")
{
    const auto w = workflow_of({build});
    go(w);
    ran();
    go(w);
    REQUIRE(ran() == "");
    // The journal ends where the work was found, and it was removed since.
    const auto journal =
        root() / ".tapps-agents/workflow-state" / workflow::journal_name(result.run_id);
    std::string kept;
    for (const auto& line : lines_of(read_file(journal))) {
        if (line.find("\"step_ended\"") != std::string::npos) break;
        kept += line + "\n";
    }
    REQUIRE(kept.find("\"cached\"") != std::string::npos);
    SUBCASE("is there")
    {
        write_file(journal, kept);
        go(w, WorkflowResumeOptions{});
        CHECK(result.error == "");
        CHECK(ran() == "");
        CHECK(of("build").cached_from != "");
        CHECK(made("log") == "built\n");
    }
    SUBCASE("is gone")
    {
        const auto entry = entries().at(0).substr(entries().at(0).find(' ') + 1);
        for (auto at = kept.find(entry); at != std::string::npos; at = kept.find(entry))
            kept.replace(at, entry.size(), std::string(entry.size(), '0'));
        write_file(journal, kept);
        go(w, WorkflowResumeOptions{});
        CHECK(of("build").state == StepState::failed);
        CHECK(of("build").code == "cache");
        CHECK(of("build").reason.ends_with("To run the step, use --no-cache"));
    }
}

TEST_SUITE_END();
