#include "support/git_project.hpp"
#include "support/sweep.hpp"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>

/// The executor of a run is killed again and again, at moments by a seed. Each kill is a round.

using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

/// Side by side, a gate that leads back once, a step that only `retry_from: clean` makes
/// repeatable, joins. What each step makes depends on nothing but the tree that it gets.
class Storm : public GitProject {
public:
    Storm()
    {
        committed_steps(
            {"id: plan, agent: x, action: y, idempotent: true, creates: [plan]",
             "id: one, agent: x, action: y, idempotent: true, requires: [plan], creates: [one]",
             "id: two, agent: x, action: y, idempotent: true, depends_on: [plan]",
             "id: three, agent: x, action: y, idempotent: true, depends_on: [plan], "
             "retry_from: clean",
             "id: check, agent: x, action: y, idempotent: true, depends_on: [one, two], "
             "results: review.json, gate: {condition: good, on_fail: two}",
             "id: last, agent: x, action: y, idempotent: true, depends_on: [check, three]"});
        does("plan", "echo plan >plan");
        does("one", "trap '' TERM; for i in 1 2 3 4 5; do sleep 0.03; done; cat plan plan >one");
        does("two", "if [ -f review.json ]; then echo better; else echo poor; fi >two");
        does("three", "echo more >>file; echo >>plan; git add plan; git commit -q -m more");
        does("check",
             "if grep -q better two; then g=true; else g=false; fi; echo \"{\\\"good\\\": $g}\" "
             ">$results");
        does("last", "mkdir -p all; cat plan one two >all/report");
    }

    /// The words of whatever goes on with it.
    [[nodiscard]] Words next_words() const
    {
        if (newest_run().empty()) return words({"--retry", "99"});
        return {"workflow", "resume", "--retry", "99"};
    }
    [[nodiscard]] bool is_completed() const
    {
        const auto run = newest_run();
        return !run.empty() && text_at(run, "state") == "completed";
    }
    /// Steps that were begun while one of their own was still at work.
    [[nodiscard]] std::string doubled() const { return read_file(stage() / "doubled"); }

private:
    void does(const std::string& step, const std::string& script) const
    {
        on(step, R"sh(
last=$(cat "$stage/pid-$step" 2>/dev/null)
if [ -n "$last" ] && kill -0 "$last" 2>/dev/null; then echo "$step" >>"$stage/doubled"; fi
echo $$ >"$stage/pid-$step"
sleep 0.03
)sh" + script + "\nsleep 0.03\nrm \"$stage/pid-$step\"\n");
    }
};

// What a call of git leaves whose executor was killed.
std::string locks_in(const fs::path& folder)
{
    std::string found;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.path().extension() == ".lock" && entry.path().filename() != ".lock" &&
            entry.path().filename() != "repository.lock" &&      // ours, which stay
            entry.path().parent_path().filename() != "engines")  // ours, which the next one removes
            found += entry.path().string() + " " + std::to_string(entry.file_size()) + "\n";
    return found;
}

}  // namespace

TEST_CASE("a run whose executor is killed at any moment ends in the same files" *
          doctest::test_suite("sweep"))
{
    std::mt19937 random(sweep_seed());
    const auto wanted = sweep_rounds(4, 40);

    Words expected;
    std::chrono::milliseconds whole{};
    {
        Storm calm;
        const auto begin = std::chrono::steady_clock::now();
        const auto ended = calm.go();
        REQUIRE_MESSAGE(ended.code == 0, ended.err);
        whole = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - begin);
        expected = calm.files();
        CHECK(calm.shown("all/report") == "plan\n\nplan\nplan\nbetter\n");
    }
    std::uniform_int_distribution<long> moment(0, whole.count() * 9 / 10);
    unsigned kills = 0;
    while (kills < wanted) {
        Storm project;
        std::string moments;
        while (!project.is_completed()) {
            Program engine(project.start(project.next_words()));
            const auto after = std::chrono::milliseconds(moment(random));
            moments += " " + std::to_string(after.count());
            CAPTURE(moments);
            if (kills < wanted && !engine.ends_within(after)) {
                engine.signal(SIGKILL);
                (void)engine.wait();
                ++kills;
                continue;
            }
            const auto ended = engine.wait();
            REQUIRE_MESSAGE(ended.code == 0, ended.err);
        }
        CAPTURE(moments);
        CHECK(project.files() == expected);
        CHECK(project.doubled().empty());
        CHECK(project.is_untouched());
        const auto locks = locks_in(project.root() / ".git");
        CHECK_MESSAGE(locks.empty(), locks);
        CHECK(project.git({"fsck", "--connectivity-only", "--no-dangling"}).empty());
        // A record that was being made is nobody's for sure only after a while.
        const auto running = project.records() / "running";
        for (const auto& name : Project::names_in(running))
            fs::last_write_time(running / name, fs::file_time_type::clock::now() - 1h);
        CHECK(project.run({"run", "-q", "--", "sleep", "0.2"}).code == 0);
        CHECK_FALSE(fs::exists(project.root() / ".git/autoexec/engines"));
        // Claims that were being taken go with the trees.
        const auto swept = project.run({"worktree", "gc"});
        CHECK_MESSAGE(swept.code == 0, swept.err);
        CHECK(Project::names_in(project.root() / ".git/worktrees").empty());
    }
}
