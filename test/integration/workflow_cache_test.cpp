#include "support/workflow_git_fixture.hpp"

#include <fmt/format.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

using namespace autoexec;
using namespace autoexec::test;

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

TEST_SUITE_BEGIN("workflow cache over git");

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
        review.gate->max_rounds = 1;
        go(workflow_of({build, review}));
        CHECK(result.status == WorkflowStatus::failed);
        CHECK(entries().empty());
        CHECK(ran() == "build review ");
        review.gate = gate("round >= 2", GateTarget{GateTarget::Kind::fail, {}});
        go(workflow_of({build, review}));
        CHECK(result.status == WorkflowStatus::failed);
        CHECK(entries().size() == 1);
        CHECK(ran() == "build review ");
    }
}

TEST_CASE_FIXTURE(CacheFixture, "a gate that goes back to a child run gets other work")
{
    auto task = workflow_of({cached("code", "echo code >code")});
    task.id = "task";
    WorkflowStep use_task;
    use_task.id = "do";
    use_task.uses = "task.yaml";
    use_task.used = std::make_shared<const Workflow>(task);
    use_task.gate = gate("do.round >= 2", GateTarget{GateTarget::Kind::again, {}});
    const auto w = workflow_of({use_task});
    go(w);
    CHECK(result.error == "");
    CHECK(ran() == "code code ");
    go(w);
    CHECK(result.error == "");
    CHECK(ran() == "code ");
    CHECK(made("code") == "code\n");
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
        CHECK(of("build").reason.ends_with("To run the step, resume with --from-failed"));
        WorkflowResumeOptions again;
        again.from_failed = true;
        go(w, again);
        CHECK(of("build").state == StepState::completed);
        CHECK(of("build").cached_from.empty());
        CHECK(ran() == "build ");
    }
}

TEST_CASE_FIXTURE(CacheFixture, "of very much work, the oldest is removed")
{
    std::string refs;
    const auto commit = head();
    for (int k = 0; k < 1003; ++k) refs += fmt::format("{} refs/autoexec/cache/{:04}\n", commit, k);
    write_file(root() / ".git/packed-refs", refs);
    go(workflow_of({build}));
    REQUIRE(result.error == "");
    CHECK(entries().size() == 1000);
    ran();
    go(workflow_of({build}));
    CHECK(ran() == "");
}

TEST_SUITE_END();
