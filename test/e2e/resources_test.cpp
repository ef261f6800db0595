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
        CHECK_MESSAGE(contains(ended.err, "Running at most 2 commands at once"), ended.err);
        int completed = 0;
        for (const auto& result : objects_of(ended.out))
            completed += text_at(result, "status") == "completed" ? 1 : 0;
        CHECK(completed == count);
        for (int i = 0; i < count; ++i)
            fs::remove_all(project.root() / ("tree" + std::to_string(i)));
    }
}

TEST_CASE("as many commands run at once as there is room for in the open files that are allowed")
{
    Project project;
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"40", "Running at most 1 command at once"},
        {"128", "Running at most 8 commands at once"},
        {"256", "Running at most 18 commands at once"}};
    for (const auto& [files, sentence] : cases) {
        CAPTURE(files);
        auto start = limited(project, "-n " + files, {"run", "-j", "0", "--list", "-"});
        start.input = list_of(project, 20);
        Program program(start);
        const auto ended = program.wait();
        CHECK(ended.code == 0);
        CHECK_MESSAGE(contains(ended.err, sentence), ended.err);
        for (int i = 0; i < 20; ++i) fs::remove_all(project.root() / ("tree" + std::to_string(i)));
    }
}

TEST_CASE("programs get the limit of open files that the user has set, although more are needed")
{
    Project project;
    auto start = limited(project, "-S -n 64", {"run", "-j", "0", "--list", "-"});
    for (int i = 0; i < 8; ++i) {
        const auto tree = project.root() / ("tree" + std::to_string(i));
        fs::create_directory(tree);
        start.input +=
            R"({"command": "ulimit -S -n >limit", "worktree": ")" + tree.string() + "\"}\n";
    }
    Program program(start);
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK_FALSE(contains(ended.err, "Running at most"));
    for (int i = 0; i < 8; ++i)
        CHECK(read_file(project.root() / ("tree" + std::to_string(i)) / "limit") == "64\n");
}

TEST_CASE("if no limit is reached, -j 0 runs all commands at once without a warning")
{
    Project project;
    auto start = project.start({"run", "-j", "0", "--list", "-"});
    start.input = list_of(project, 4);
    Program program(start);
    const auto ended = program.wait();
    CHECK(ended.code == 0);
    CHECK_FALSE(contains(ended.err, "Running at most"));
}

TEST_CASE("for any number of descriptors a command is done, or ends for want of them")
{
    Project project;
    int completed = 0;
    for (int n = 10; n <= 40; ++n) {
        CAPTURE(n);
        Program program(limited(project, "-n " + std::to_string(n),
                                {"run", "--json", "--retry", "0", "echo done >made"}));
        const auto ended = program.wait();
        CAPTURE(ended.err);
        if (ended.code == 0) {
            ++completed;
            continue;
        }
        // With fewer, not even its libraries can be loaded.
        if (ended.out.empty()) CHECK(n < 16);
        for (const auto& result : objects_of(ended.out))
            CHECK(text_at(result, "error_code") == "no_resources");
    }
    CHECK(completed > 0);
}

TEST_CASE("a folder that a program makes in place of a control file hinders no command")
{
    Project project;
    for (const std::string name : {".cursor-skill-cancel.json", ".cursor-skill-status.json",
                                   ".cursor-skill-command.txt", ".cursor-skill-metadata.json"}) {
        CAPTURE(name);
        const auto ended = project.run({"run", "rm -f " + name + "; mkdir -p " + name + "/inner"});
        CHECK_MESSAGE(ended.code == 0, ended.err);
        CHECK_FALSE(fs::exists(project.root() / name));
    }
}

TEST_CASE("without enough free memory no command starts, and it says why")
{
    Project project;
    const auto require_bytes = [&project](const std::string& bytes) {
        project.write(".tapps-agents/auto_execution_config.yaml",
                      "auto_execution:\n  limits:\n    min_free_memory_bytes: " + bytes + "\n");
    };
    require_bytes("500000000000000");
    Program run(project.start({"run", "touch made"}));
    REQUIRE(eventually([&] { return contains(run.err(), "No command starts for now: "); }));
    CHECK(contains(project.run({"status"}).err, "No command starts for now: "));
    CHECK_FALSE(fs::exists(project.root() / "made"));
    SUBCASE("until it is cancelled")
    {
        run.signal(SIGINT);
        CHECK(run.wait().code == 130);
        CHECK_FALSE(fs::exists(project.root() / "made"));
    }
    SUBCASE("until less is required")
    {
        require_bytes("0");
        const auto ended = run.wait();
        CHECK_MESSAGE(ended.code == 0, ended.err);
        CHECK(contains(ended.err, "Commands start again."));
        CHECK(contains(ended.err, "warning: The start was paused for "));
        CHECK(fs::exists(project.root() / "made"));
    }
    CHECK(contains(read_file(project.records() / "audit/execution_audit.log"), "starts_paused"));
}
