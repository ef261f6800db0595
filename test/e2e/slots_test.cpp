#include "files/file_lock.hpp"
#include "files/safe_files.hpp"
#include "support/project.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <csignal>
#include <cstdint>
#include <string>

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
bool waits_for_slot(const Project& project)
{
    constexpr std::int64_t waiting = std::int64_t{1} << 60;
    const auto path = project.records() / "slots/commands.lock";
    const files::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return file && files::is_byte_locked(file.get(), waiting);
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
