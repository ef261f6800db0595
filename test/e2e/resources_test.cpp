#include "support/project.hpp"

using namespace autoexec::test;

/// What becomes of commands where the system's resources are short.

namespace {

/// `words` in a shell with that limit.
Start limited(const Project& project, const std::string& limit, const Words& words)
{
    auto start = project.start(words);
    start.argv.insert(start.argv.begin(),
                      {"/bin/bash", "-c", "ulimit " + limit + "; exec \"$@\"", "bash"});
    return start;
}

std::string list_of(Project& project, int count)
{
    std::string list;
    for (int i = 0; i < count; ++i) {
        const auto tree = project.root() / ("tree" + std::to_string(i));
        fs::create_directory(tree);
        list += R"({"command": "echo done >made", "worktree": ")" + tree.string() +
                R"(", "timeout": "30s"})" + "\n";
    }
    return list;
}

}  // namespace

TEST_CASE(
    "with few descriptors no command is taken for one that timed out, however many are wanted")
{
    Project project;
    constexpr int count = 24;
    for (const auto* const jobs : {"0", "24"}) {
        CAPTURE(jobs);
        auto start = limited(project, "-n 64", {"run", "-j", jobs, "--json", "--list", "-"});
        start.input = list_of(project, count);
        Program program(start);
        const auto ended = program.wait();
        CHECK_MESSAGE(ended.code == 0, ended.err);
        CHECK(contains(ended.err, "At most 1 command at once"));
        int completed = 0;
        for (const auto& result : objects_of(ended.out))
            completed += text_at(result, "status") == "completed" ? 1 : 0;
        CHECK(completed == count);
        for (int i = 0; i < count; ++i)
            fs::remove_all(project.root() / ("tree" + std::to_string(i)));
    }
}

TEST_CASE("without a limit to run into, -j 0 runs all commands at once and says nothing")
{
    Project project;
    auto start = project.start({"run", "-j", "0", "--list", "-"});
    start.input = list_of(project, 4);
    Program program(start);
    const auto ended = program.wait();
    CHECK(ended.code == 0);
    CHECK_FALSE(contains(ended.err, "At most"));
}
