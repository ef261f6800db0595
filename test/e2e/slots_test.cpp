#include "files/file_lock.hpp"
#include "files/safe_files.hpp"
#include "support/project.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;

namespace {

constexpr char one_at_once[] =
    "auto_execution:\n"
    "  limits: {max_parallel: 1}\n"
    "  breaker: {max_failures: 0, max_pause_seconds: 0}\n";

constexpr char until_go[] = "until test -e go; do sleep 0.02; done; test ! -e second";

void limit_to_one(const Project& project)
{
    project.write(".tapps-agents/auto_execution_config.yaml", one_at_once);
}

// It is in the file protocol.
bool waits_with_priority(const Project& project, int priority)
{
    constexpr std::int64_t waiting = std::int64_t{1} << 60;
    const auto path = project.records() / "slots/commands.lock";
    const files::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return file && files::is_byte_locked(file.get(), waiting + priority);
}

bool waits_for_slot(const Project& project)
{
    return waits_with_priority(project, 0);
}

std::size_t queued_count(const Project& project)
{
    std::size_t count = 0;
    for (const auto& entry : objects_of(project.run({"status", "--json"}).out))
        if (text_at(entry, "state") == "queued") ++count;
    return count;
}

}  // namespace

TEST_SUITE_BEGIN("slots");

TEST_CASE("two programs run no more commands at once than one of them may")
{
    Project project;
    limit_to_one(project);
    const auto tree = project.worktree("other");
    Program first(project.start({"run", until_go}));
    project.wait_for_running(1);
    Program second(project.start({"run", "touch ../project/second", "-w", tree.string()}));
    REQUIRE(eventually([&] { return waits_for_slot(project); }));
    SUBCASE("the second one waits for the end of the first one")
    {
        project.write("go", "");
        CHECK(first.wait().code == 0);
    }
    SUBCASE("a kill releases the slot")
    {
        first.signal(SIGKILL);
        CHECK(first.wait().code == -SIGKILL);
    }
    SUBCASE("a higher limit does not wait")
    {
        CHECK(project.run({"run", "-j", "2", "true", "-w", project.worktree("third").string()})
                  .code == 0);
        project.write("go", "");
        CHECK(first.wait().code == 0);
    }
    const auto ended = second.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(fs::exists(project.root() / "second"));
    CHECK_FALSE(waits_for_slot(project));
}

TEST_CASE("the commands of two programs start by priority")
{
    Project project;
    limit_to_one(project);
    Program first(project.start({"run", until_go}));
    project.wait_for_running(1);
    const auto add = [&](const std::string& name, const Words& options) {
        Words words = {"run", "echo " + name + " >> ../project/order", "-w",
                       project.worktree(name).string()};
        words.insert(words.end(), options.begin(), options.end());
        return words;
    };
    std::vector<std::unique_ptr<Program>> others;
    const auto begin = [&](const std::string& name, const Words& options) {
        others.push_back(std::make_unique<Program>(project.start(add(name, options))));
        const auto count = others.size();
        REQUIRE(eventually([&] { return queued_count(project) == count; }));
    };
    begin("lowest", {"--priority", "-7"});
    begin("low", {});
    begin("high", {"--priority", "7"});
    Words expected{"high", "low", "lowest"};
    SUBCASE("of the queue, too")
    {
        REQUIRE(project.run(add("higher", {"--detach", "--priority", "8"})).code == 0);
        REQUIRE(project.run(add("middle", {"--detach", "--priority", "1"})).code == 0);
        REQUIRE(eventually([&] { return waits_with_priority(project, 8); }));
        expected = {"higher", "high", "middle", "low", "lowest"};
    }
    SUBCASE("a suspended one holds the others back for seconds only")
    {
        others.back()->signal(SIGSTOP);
        expected = {"low", "lowest", "high"};
    }
    SUBCASE("one that is killed leaves its command to the queue")
    {
        others.back()->signal(SIGKILL);
        CHECK(others.back()->wait().code == -SIGKILL);
        others.pop_back();
        CHECK_FALSE(waits_with_priority(project, 7));
        expected = {"low", "lowest"};
    }
    project.write("go", "");
    first.wait();
    const auto has_run = [&](std::size_t count) {
        return lines_of(read_file(project.root() / "order")).size() >= count;
    };
    if (expected.front() == "low") CHECK(eventually([&] { return has_run(2); }));
    if (expected.back() == "high") others.back()->signal(SIGCONT);
    for (const auto& other : others) CHECK(other->wait().code == 0);
    if (expected.size() == 2) {
        CHECK(project.run({"wait", "--all"}).code == 0);
        expected.emplace_back("high");
    }
    CHECK(eventually([&] { return has_run(expected.size()); }));
    auto order = lines_of(read_file(project.root() / "order"));
    // Each process counts the 2 s itself, so that any of the others may be the first.
    if (expected == Words{"low", "lowest", "high"}) std::sort(order.begin(), order.begin() + 2);
    CHECK(order == expected);
    CHECK(project.run({"wait", "--all"}).code == 0);
    CHECK(eventually([&] { return project.processes().empty(); }));
}

TEST_CASE("a list has a priority for each command")
{
    Project project;
    limit_to_one(project);
    std::string list;
    for (const auto& [name, priority] : {std::pair{"low", -1}, {"normal", 0}, {"high", 1000}})
        list += R"({"command": "echo )" + std::string(name) +
                R"( >> ../project/order", "priority": )" + std::to_string(priority) +
                R"(, "worktree": ")" + project.worktree(name).string() + "\"}\n";
    // What comes first does not wait.
    list = R"({"command": "true", "worktree": ")" + project.worktree("first").string() + "\"}\n" +
           list;
    const auto ended = project.run({"run", "--list", "-"}, list);
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(lines_of(read_file(project.root() / "order")) == Words{"high", "normal", "low"});
    for (const auto* const wrong : {"1001", "-1001", "1.5", "\"1\"", "null", "1e400", "[1]"}) {
        const auto refused =
            project.run({"run", "--list", "-"},
                        R"({"command": "true", "priority": )" + std::string(wrong) + "}\n");
        CHECK(refused.code == 2);
        CHECK_MESSAGE(contains(refused.err, "stdin:1: "), refused.err);
    }
    for (const auto* const wrong : {"1001", "-1001", "1.5", "x", "", "99999999999999999999"})
        CHECK(project.run({"run", "true", "--priority", wrong}).code == 2);
}

TEST_CASE("a detached command that waits for another process's slot is shown as queued")
{
    Project project;
    limit_to_one(project);
    Program first(project.start({"run", until_go}));
    project.wait_for_running(1);
    const auto tree = project.worktree("other").string();
    const auto submitted = project.run({"run", "--detach", "touch ../project/second", "-w", tree});
    REQUIRE(submitted.code == 0);
    const auto id = lines_of(submitted.out).front();
    REQUIRE(eventually([&] { return waits_for_slot(project); }));
    std::string state;
    for (const auto& entry : objects_of(project.run({"status", "--json"}).out))
        if (text_at(entry, "execution_id") == id) state = text_at(entry, "state");
    CHECK(state == "queued");
    bool is_cancelled = false;
    SUBCASE("and runs when that one ends") {}
    SUBCASE("and can be cancelled")
    {
        is_cancelled = true;
        CHECK(project.run({"cancel", id}).code == 0);
    }
    project.write("go", "");
    CHECK(first.wait().code == 0);
    const auto ended = project.run({"wait", id, "--json"});
    REQUIRE(objects_of(ended.out).size() == 1);
    CHECK(text_at(objects_of(ended.out)[0], "status") ==
          (is_cancelled ? "cancelled" : "completed"));
    CHECK(eventually([&] { return project.processes().empty(); }));
    CHECK(fs::exists(project.root() / "second") != is_cancelled);
    CHECK(project.run({"wait", "--all"}).out.empty());
}

TEST_CASE("a command that an agent's program runs does not wait for that agent's slot")
{
    Project project;
    limit_to_one(project);
    const auto run_in = [&](const std::string& tree, const std::string& command) {
        return program_path + " run -w " + project.worktree(tree).string() + " -- sh -c '" +
               command + "'";
    };
    project.write("nested.sh",
                  run_in("inner", program_path + " run -w " +
                                      project.worktree("innermost").string() + " -- touch made") +
                      "\n" + run_in("next", "touch made"));
    const auto ended = project.run({"run", "--", "sh", "-e", "nested.sh"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.metrics().size() == 4);
}

TEST_SUITE_END();
