#include "support/git_project.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <sys/stat.h>
#include <csignal>

using namespace autoexec::test;

namespace {

/// A project whose agent sets traps in its worktree: what they name leaves a mark outside of it.
class AttackedProject : public GitProject {
public:
    AttackedProject()
    {
        write_program(trap(), "echo \"$0 $*\" >>'" + mark().string() + "'\nexec cat\n");
    }

    [[nodiscard]] fs::path mark() const { return stage() / "mark"; }
    [[nodiscard]] fs::path trap() const { return stage() / "trap"; }

    static void write_program(const fs::path& file, const std::string& text)
    {
        write_file(file, "#!/bin/sh\n" + text);
        ::chmod(file.c_str(), 0755);
    }

    /// In a script: makes `folder` a repository that runs the trap for its file `inner`.
    [[nodiscard]] std::string make_repository(const std::string& folder) const
    {
        return fmt::format(
            "mkdir -p {0} && (cd {0} && git init -q -b main . && echo one >inner && git add . && "
            "git commit -q -m inner && echo '* filter=evil' >.gitattributes && "
            "git config filter.evil.clean '{1}' && git config core.fsmonitor '{1}' && "
            "echo two >inner)\n",
            folder, trap().string());
    }
    void check_unmarked() const { CHECK_MESSAGE(!fs::exists(mark()), read_file(mark())); }
};

/// A git before the real one that hangs where the test says, until that is taken back.
class HangingGit {
public:
    HangingGit(AttackedProject& project, const std::string& subcommand, bool ignores_signals)
        : project_(project), switch_(project.stage() / "hang"), begun_(project.stage() / "begun")
    {
        const auto programs = project.stage() / "programs";
        const std::string path = std::getenv("PATH");
        fs::create_directories(programs);
        AttackedProject::write_program(
            programs / "git",
            fmt::format("PATH='{}'\nif [ -e '{}' ]; then case \" $* \" in *' {} '*)\n"
                        "{}echo >'{}'; while :; do sleep 1000; done;; esac; fi\nexec git \"$@\"\n",
                        path, switch_.string(), subcommand, ignores_signals ? "trap '' TERM; " : "",
                        begun_.string()));
        write_file(switch_, "");
        project.set("PATH", programs.string() + ":" + path);
    }

    void wait_until_it_hangs() const
    {
        REQUIRE(eventually([&] { return fs::exists(begun_); }));
    }
    void hang_no_more() const { fs::remove(switch_); }

private:
    AttackedProject& project_;
    fs::path switch_;
    fs::path begun_;
};

/// Two signals that are pending at once would be one.
void interrupt_twice(const Program& program)
{
    program.signal(SIGINT);
    REQUIRE(eventually([&] { return contains(program.err(), "Press Ctrl-C again"); }));
    program.signal(SIGINT);
}

}  // namespace

TEST_SUITE_BEGIN("git_containment");

TEST_CASE_FIXTURE(AttackedProject, "a retry runs nothing that the program before has set up")
{
    const auto tree = worktree("tree");
    const auto ended =
        run({"run", "-w", tree.string(), "--retry", "1", "--", "sh", "-c",
             "[ -d .git ] && exit 75; rm .git; " + make_repository(".") + "exit 75"});
    CHECK(ended.code == 1);
    check_unmarked();
    std::size_t retries = 0;
    for (const auto& line : audit())
        if (text_at(line, "event_type") == "execution_retry") ++retries;
    CHECK(retries == 1);
}

TEST_CASE_FIXTURE(AttackedProject, "a new worktree runs none of the repository's programs")
{
    for (const auto* const hook : {"post-checkout", "reference-transaction", "post-index-change"})
        write_program(root() / ".git/hooks" / hook, "exec '" + trap().string() + "'\n");
    git({"config", "core.fsmonitor", trap().string()});
    const auto ended = run({"run", "--new-worktree", "new", "--", "true"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    check_unmarked();
}

TEST_CASE_FIXTURE(AttackedProject, "a repository within a step's worktree is never entered")
{
    committed_steps({"id: a, command: a"});
    SUBCASE("untracked")
    {
        on("a", make_repository("inside"));
    }
    SUBCASE("as a submodule")
    {
        on("a", make_repository("inside") + "git -c core.fsmonitor=false add inside\nrm -f '" +
                    mark().string() + "'\n");
    }
    SUBCASE("committed as a submodule")
    {
        on("a", make_repository("inside") + "git add inside && git commit -q -m sub\nrm -f '" +
                    mark().string() + "'\n");
    }
    const auto ended = go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    check_unmarked();
    CHECK(run({"worktree", "list"}).code == 0);
    check_unmarked();
    const auto collected = run({"worktree", "gc", "--all", "--older-than", "0", "--keep", "0"});
    CHECK_MESSAGE(collected.code == 4, collected.out);  // it stays: its work cannot be saved
    check_unmarked();
}

TEST_CASE_FIXTURE(AttackedProject, "signals end a run whose git hangs, and it can be resumed")
{
    committed_steps({"id: a, command: a"});
    on("a", "echo work >made\n");
    const HangingGit git(*this, "add", true);
    Program program(start(words()));
    git.wait_until_it_hangs();
    SUBCASE("the first one, after a grace")
    {
        program.signal(SIGINT);
    }
    SUBCASE("the second one, at once")
    {
        interrupt_twice(program);
    }
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 130, ended.err);
    CHECK(text_at(newest_run(), "state") == "cancelled");
    git.hang_no_more();
    const auto resumed = resume();
    CHECK_MESSAGE(resumed.code == 0, resumed.err);
    CHECK(shown("made") == "work\n");
}

TEST_CASE_FIXTURE(AttackedProject, "a signal ends a run that hangs before it has begun")
{
    committed_steps({"id: a, command: a"});
    const HangingGit git(*this, "rev-parse", false);
    Program program(start(words()));
    git.wait_until_it_hangs();
    interrupt_twice(program);
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 130, ended.err);
    CHECK(asked().empty());
}

TEST_CASE_FIXTURE(AttackedProject, "signals end the removal of worktrees whose git hangs")
{
    committed_steps({"id: a, command: a"});
    on("a", "echo work >made\n");
    REQUIRE(go().code == 0);
    const HangingGit git(*this, "status", true);
    Program program(start({"worktree", "gc", "--all", "--older-than", "0", "--keep", "0"}));
    git.wait_until_it_hangs();
    interrupt_twice(program);
    const auto ended = program.wait();
    CHECK(ended.code == 130);
    CHECK(contains(ended.err, "Press Ctrl-C again"));
    git.hang_no_more();
    CHECK(run({"worktree", "gc", "--all", "--older-than", "0", "--keep", "0"}).code == 0);
}

TEST_CASE_FIXTURE(AttackedProject, "a signal ends the making of a new worktree whose git hangs")
{
    const HangingGit git(*this, "worktree", false);
    Program program(start({"run", "--new-worktree", "new", "--", "true"}));
    git.wait_until_it_hangs();
    interrupt_twice(program);
    CHECK(program.wait().code == 130);
}

TEST_SUITE_END();
