#include "support/project.hpp"
#include "support/sweep.hpp"

#include <doctest/doctest.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <random>
#include <set>

using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

constexpr double deadline_seconds = 300;  // of a command, over all its attempts
constexpr double stop_seconds = 0.5 + 5;  // the grace, and what the executor adds

// Programs of several processes that work for a while, or until the storm is over. What has left
// its session is found by the supervisor only, so where that is killed nothing like it may be left
// to itself for long.
constexpr char work[] =
    "(setsid sh -c 'sleep 2' &) ; sleep 2 | cat & i=0;"
    "while [ $i -lt 6 ] || [ -e ../project/storm ]; do sleep 0.1; i=$((i+1)); done;"
    "echo $AUTOEXEC_ATTEMPT >>ends";

std::string name_of(pid_t pid)
{
    auto name = read_file("/proc/" + std::to_string(pid) + "/comm");
    while (!name.empty() && name.back() == '\n') name.pop_back();
    return name;
}

/// Kills at random, by a seed, what was started for commands: supervisors and their descendants.
class Killer {
public:
    explicit Killer(const Project& project) : project_(project) {}

    /// One round of at most `most`; true if something was killed.
    bool strike(std::size_t most)
    {
        auto all = project_.processes();
        std::shuffle(all.begin(), all.end(), random_);
        std::size_t struck = 0;
        for (const pid_t pid : all) {
            const auto name = name_of(pid);
            if (struck == most) break;
            if (name.empty() || name == "autoexec" || ::kill(pid, SIGKILL) != 0) continue;
            ++struck;
            supervisors_ += name.starts_with("autoexec-super") ? 1 : 0;
        }
        kills_ += struck;
        return struck > 0;
    }

    std::size_t kills() const { return kills_; }
    std::size_t supervisors() const { return supervisors_; }

private:
    const Project& project_;
    std::mt19937 random_{sweep_seed()};
    std::size_t kills_ = 0;
    std::size_t supervisors_ = 0;
};

/// A list with a command for each of many new worktrees.
std::string make_list(Project& project, std::size_t count)
{
    std::string list;
    for (std::size_t i = 0; i < count; ++i) {
        boost::json::object o;
        o["command"] = work;
        o["worktree"] = project.worktree("tree-" + std::to_string(i)).string();
        list += boost::json::serialize(o) + "\n";
    }
    return list;
}

Start storm(const Project& project, const std::string& list, Words more = {})
{
    Words words = {"run",
                   "--json",
                   "--list",
                   "-",
                   "-j",
                   "0",
                   "--idempotent",
                   "--retry",
                   "6",
                   "--timeout",
                   "200s",
                   "--stop-grace",
                   "500ms",
                   "--total-timeout",
                   std::to_string(static_cast<int>(deadline_seconds)) + "s"};
    words.insert(words.end(), more.begin(), more.end());
    auto start = project.start(words);
    start.input = list;
    return start;
}

// An agent that is killed while it claims leaves a temporary, which is nobody's for sure only after
// a while; whoever comes to the worktree then takes it away.
void sweep_claims(const Project& project)
{
    for (const auto& entry : fs::recursive_directory_iterator(project.root() / ".git/worktrees")) {
        if (!entry.path().filename().string().starts_with(".tmp.")) continue;
        fs::last_write_time(entry.path(), fs::file_time_type::clock::now() - 1h);
        const auto git_dir = entry.path().parent_path().parent_path().parent_path();
        const auto tree = fs::path(read_file(git_dir / "gitdir")).parent_path();
        CHECK(project.run({"run", "-q", "-w", tree, "--", "true"}).code == 0);
        CHECK_FALSE(fs::exists(entry.path()));
    }
}

// One result for each worktree, in time, and one record for each attempt.
void check_results(const Project& project, const Ended& ended, std::size_t count)
{
    const auto results = objects_of(ended.out);
    CHECK(results.size() == count);
    std::set<std::string> trees;
    std::map<std::string, std::set<std::string>> attempts;
    std::map<std::string, std::size_t> wanted;
    std::size_t completed = 0;
    for (const auto& result : results) {
        CHECK(trees.insert(text_at(result, "worktree")).second);
        CHECK(result.at("duration_seconds").to_number<double>() < deadline_seconds + stop_seconds);
        wanted[text_at(result, "execution_id")] = std::stoul(text_at(result, "attempts"));
        if (text_at(result, "status") == "completed") {
            ++completed;
            CHECK(fs::exists(text_at(result, "worktree") + "/ends"));
        }
    }
    MESSAGE(completed << " of " << count << " completed");
    for (const auto& metric : project.metrics())
        CHECK(attempts[text_at(metric, "execution_id")]
                  .insert(text_at(metric, "retry_count"))
                  .second);
    for (const auto& [id, number] : wanted) CHECK(attempts[id].size() == number);
}

}  // namespace

TEST_CASE("whatever is killed of many commands, each has one result in time and nothing is left" *
          doctest::test_suite("sweep"))
{
    const std::size_t worktree_count = sweep_rounds(12, 64);
    const std::size_t kill_count = 3 * worktree_count;
    Project project;
    const auto list = make_list(project, worktree_count);
    project.write("storm", "");
    Program engine(storm(project, list));
    Killer killer(project);
    while (killer.kills() < kill_count && !engine.ends_within(5ms))
        killer.strike(std::min<std::size_t>(kill_count - killer.kills(), 4));
    fs::remove(project.root() / "storm");
    const auto ended = engine.wait(600s);
    CHECK(killer.kills() == kill_count);
    MESSAGE(killer.supervisors() << " supervisors among " << killer.kills() << " killed");
    CHECK((ended.code == 0 || ended.code == 1));
    check_results(project, ended, worktree_count);
}

TEST_CASE("an agent that is killed again and again costs attempts, not results" *
          doctest::test_suite("sweep"))
{
    const std::size_t daemon_kills = sweep_rounds(3, 8);
    const std::size_t trees = 2 * daemon_kills;
    Project project;
    project.add_agent("shell", "/bin/sh -c -- {command}");
    const auto list = make_list(project, trees);
    const auto begin = std::chrono::steady_clock::now();
    auto daemon = std::make_unique<Program>(project.start({"agent"}));
    Program engine(storm(project, list, {"--external-agent", "--polling-interval", "100ms"}));
    Killer killer(project);
    std::size_t deaths = 0;
    while (!engine.ends_within(20ms)) {
        REQUIRE(std::chrono::steady_clock::now() - begin < 600s);
        if (deaths == daemon_kills) continue;
        // As soon as it is at work.
        if (!killer.strike(1)) continue;
        daemon->signal(SIGKILL);
        CHECK(daemon->wait().code == -SIGKILL);
        daemon = std::make_unique<Program>(project.start({"agent"}));
        ++deaths;
    }
    const auto ended = engine.wait();
    CHECK(deaths >= 2);
    check_results(project, ended, trees);
    daemon->signal(SIGTERM);
    CHECK(daemon->wait().code == 0);
    sweep_claims(project);
}

TEST_CASE("a killed executor's commands end with it, and the next executor reports them")
{
    constexpr std::size_t trees = 8;
    Project project;
    std::string list;
    for (std::size_t i = 0; i < trees; ++i)
        list += R"({"command": "setsid sleep 1000 & exec sleep 1000", "worktree": ")" +
                project.worktree("tree-" + std::to_string(i)).string() + "\"}\n";
    Program engine(storm(project, list));
    const auto ids = project.wait_for_running(trees);
    engine.signal(SIGKILL);
    CHECK(engine.wait().code == -SIGKILL);
    CHECK(eventually([&] { return project.processes().empty(); }));
    for (const auto& entry : objects_of(project.run({"status", "--json"}).out))
        CHECK(text_at(entry, "state") == "interrupted");

    const auto next = project.run({"run", "true"});
    CHECK(next.code == 0);
    std::size_t told = 0;
    for (const auto& line : lines_of(next.err)) told += line.starts_with("interrupted: ") ? 1 : 0;
    CHECK(told == trees);
    CHECK(project.run({"status"}).out.empty());

    std::set<std::string> audited;
    for (const auto& event : project.audit())
        if (text_at(event, "event_type") == "execution_interrupted")
            audited.insert(text_at(event, "execution_id"));
    std::set<std::string> measured;
    for (const auto& metric : project.metrics())
        if (text_at(metric, "status") == "failed" &&
            contains(text_at(metric, "error_message"), "Interrupted"))
            measured.insert(text_at(metric, "execution_id"));
    CHECK(audited == std::set<std::string>(ids.begin(), ids.end()));
    CHECK(measured == audited);
    CHECK_FALSE(contains(project.run({"run", "true"}).err, "interrupted: "));  // said once
}

TEST_CASE("an agent whose executor was killed is asked to stop by the next executor")
{
    Project project;
    project.add_agent("shell", "/bin/sh -c -- {command}");
    const auto tree = project.worktree("tree");
    Program daemon(project.start({"agent"}));
    const Words words = {"run", "--external-agent", "--polling-interval", "100ms", "-w", tree};
    {
        auto first = words;
        first.emplace_back("exec sleep 1000");
        Program engine(project.start(first));
        project.wait_for_running(1);
        engine.signal(SIGKILL);
        engine.wait();
    }
    auto second = words;
    second.insert(second.end(), {"--wait", "true"});
    const auto ended = project.run(second);
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "its agent was asked to stop"));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait().code == 0);
}
