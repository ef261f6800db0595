#include "support/asking_project.hpp"
#include "support/terminal.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <utility>

using namespace autoexec::test;

namespace {

constexpr char until_go[] = "until test -e go; do sleep 0.02; done";

struct Modes {
    tcflag_t input = 0;
    tcflag_t output = 0;
    tcflag_t local = 0;

    bool operator==(const Modes&) const = default;
};

/// `autoexec top` on a terminal of 24 × 100, unless other words are given.
class TopProgram {
public:
    explicit TopProgram(const Project& project) : TopProgram(on_terminal(project, {"top"})) {}
    explicit TopProgram(const Start& start) : program_(start)
    {
        // Otherwise the modes of the terminal would be lost with its last user.
        std::array<char, 64> name{};
        REQUIRE(::ptsname_r(program_.terminal(), name.data(), name.size()) == 0);
        user_ = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC);
        REQUIRE(user_ >= 0);
    }
    ~TopProgram() { ::close(user_); }
    TopProgram(const TopProgram&) = delete;
    TopProgram& operator=(const TopProgram&) = delete;

    Program& program() { return program_; }
    FullScreenView view() { return full_screen(program_.screen()); }

    void type(std::string_view keys) { program_.type(keys); }

    void wait_for(std::string_view part)
    {
        const bool found = eventually([&] { return view().has(part); });
        CHECK_MESSAGE(found, part << " is not in:\n" << program_.screen());
    }
    void wait_for_screen(bool entered)
    {
        REQUIRE(eventually([&] { return view().entered == entered; }));
    }

    [[nodiscard]] Modes modes() const
    {
        termios now{};
        REQUIRE(::tcgetattr(user_, &now) == 0);
        return {now.c_iflag, now.c_oflag, now.c_lflag};
    }

    /// Ends the program, however it was asked to, and checks that the terminal is as it was.
    int end(const Modes& before)
    {
        const auto code = program_.wait().code;
        CHECK(modes() == before);
        const auto last = view();
        CHECK_FALSE(last.entered);
        CHECK(last.cursor);
        return code;
    }

private:
    Program program_;
    int user_ = -1;
};

const Modes& usual_modes()
{
    static const Modes modes = [] {
        const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        termios now{};
        REQUIRE(::tcgetattr(terminal, &now) == 0);
        ::close(terminal);
        return Modes{now.c_iflag, now.c_oflag, now.c_lflag};
    }();
    return modes;
}

void wait_for_engine(const Project& project)
{
    REQUIRE(
        eventually([&] { return !read_file(project.records() / "queue/engine.lock").empty(); }));
}

std::string submit(const Project& project, const std::string& command)
{
    const auto ended = project.run({"run", "--detach", command});
    REQUIRE_MESSAGE(ended.code == 0, ended.err);
    return lines_of(ended.out).at(0);
}

}  // namespace

TEST_SUITE_BEGIN("top");

TEST_CASE("a hundred detached commands are shown, from their submission to their end")
{
    Project project;
    Program engine(project.start({"queue", "run", "--keep", "-j", "1"}));
    wait_for_engine(project);
    submit(project, until_go);
    project.wait_for_running(1);
    std::string list;
    for (int i = 1; i < 100; ++i) list += fmt::format("{{\"command\": \"true {}\"}}\n", i);
    project.write("list.jsonl", list);
    REQUIRE(project.run({"run", "--detach", "--list", "list.jsonl"}).code == 0);

    TopProgram top(project);
    top.wait_for("1 running  99 queued");
    top.type("G");
    top.wait_for("true 99");
    project.write("go", "");
    top.wait_for("100 ended");
    top.type("g\r");
    top.wait_for("Exit      exit code 0");
    top.wait_for("Claimed   completed");
    top.type("qq");
    CHECK(top.end(usual_modes()) == 0);
    engine.signal(SIGTERM);
    engine.wait();
}

TEST_CASE("a command is cancelled from the list")
{
    Project project;
    Program engine(project.start({"queue", "run", "--keep", "-j", "1"}));
    wait_for_engine(project);
    submit(project, until_go);
    project.wait_for_running(1);
    submit(project, "touch never");
    TopProgram top(project);
    top.wait_for("1 queued");
    top.type("Gc");
    top.wait_for("y/n");
    top.type("y");
    top.wait_for("1 running  1 ended");
    top.type("gcy");
    top.wait_for("2 ended");
    top.type("q");
    CHECK(top.end(usual_modes()) == 0);
    CHECK_FALSE(fs::exists(project.root() / "never"));
    engine.signal(SIGTERM);
    engine.wait();
}

TEST_CASE("what was asked for is done, also if the program ends meanwhile")
{
    Project project;
    Program run(project.start({"run", until_go}));
    project.wait_for_running(1);
    TopProgram top(project);
    top.wait_for("1 running");
    top.type("cyq");
    CHECK(top.end(usual_modes()) == 0);
    CHECK(run.wait().code == 130);
}

TEST_CASE("permission is given from the list, and counts for the question that is shown")
{
    AskingProject project;
    Program run(project.start({"run", "-w", project.tree, "go"}));
    (void)project.wait_for_question();
    TopProgram top(project);
    top.wait_for("1 needs you");
    top.type("a");
    top.wait_for("Run the tests");
    top.wait_for("> Deny");
    top.type("\x1b[B");
    top.wait_for("> Allow");
    top.type("\r");
    CHECK(run.wait().code == 0);
    CHECK(fs::exists(project.tree / "allowed"));
    top.wait_for("1 ended");
    top.type("q");
    CHECK(top.end(usual_modes()) == 0);
}

TEST_CASE("a command that has ended runs again")
{
    Project project;
    submit(project, "echo x >> ran");
    TopProgram top(project);
    top.wait_for("1 ended");
    top.type("ry");
    top.wait_for("2 ended");
    top.type("q");
    CHECK(top.end(usual_modes()) == 0);
    CHECK(lines_of(read_file(project.root() / "ran")).size() == 2);
    CHECK(eventually([&] { return project.processes().empty(); }));
}

TEST_CASE("the output of a command is followed, and none of it reaches the terminal as it is")
{
    Project project;
    Program run(project.start(
        {"run", R"(printf '\033]0;title\007\033[2Jone\r\ntwo\n'; until test -e go; do sleep 0.02;
                   done; echo three; until test -e end; do sleep 0.02; done)"}));
    project.wait_for_running(1);
    TopProgram top(project);
    top.wait_for("1 running");
    top.type("\r");
    top.wait_for(R"(\x1b]0;title\x07\x1b[2Jone)");
    project.write("go", "");
    top.wait_for("three");
    top.type("/two\r");
    CHECK(eventually([&] { return contains(top.program().screen(), "\x1b[4mtwo"); }));
    project.write("end", "");
    top.wait_for("Claimed   completed");
    CHECK_FALSE(contains(top.program().screen(), "\x1b]"));
    CHECK_FALSE(contains(top.program().screen(), "\x07"));
    top.type("qq");
    CHECK(top.end(usual_modes()) == 0);
    CHECK(run.wait().code == 0);
}

TEST_CASE("another size of the terminal is used at once")
{
    Project project;
    TopProgram top(project);
    top.wait_for("q quit");
    top.program().resize(10, 40);
    REQUIRE(eventually([&] { return top.view().lines.size() == 10; }));
    CHECK(contains(top.view().lines.back(), "q quit"));
    top.program().resize(30, 120);
    CHECK(eventually([&] { return top.view().lines.size() == 30; }));
    top.type("q");
    CHECK(top.end(usual_modes()) == 0);
    CHECK_FALSE(fs::exists(project.records()));  // it only reads
}

TEST_CASE("the terminal is restored however the program ends")
{
    Project project;
    TopProgram top(project);
    top.wait_for_screen(true);
    CHECK(top.modes() != usual_modes());
    int code = 0;
    SUBCASE("by q")
    {
        top.type("q");
    }
    SUBCASE("by Ctrl-C")
    {
        top.type(ctrl_c);
    }
    SUBCASE("by SIGTERM")
    {
        code = -SIGTERM;
    }
    SUBCASE("by SIGHUP")
    {
        code = -SIGHUP;
    }
    SUBCASE("by SIGQUIT")
    {
        code = -SIGQUIT;
    }
    SUBCASE("by a fatal error")
    {
        code = -SIGABRT;
    }
    if (code != 0) top.program().signal(-code);
    CHECK(top.end(usual_modes()) == code);
}

TEST_CASE("a suspended program gives the terminal back, and draws everything when it continues")
{
    Project project;
    auto start = on_terminal(project, {"top"});
    std::string line = "set -m; " + start.argv[0] + " top; echo suspended; read -r x; fg";
    start.argv = {"/bin/bash", "-c", line};
    TopProgram top(start);
    top.wait_for_screen(true);
    top.type("\x1a");
    top.wait_for_screen(false);
    REQUIRE(eventually([&] { return contains(top.program().screen(), "suspended"); }));
    CHECK(top.modes().local == usual_modes().local);
    top.type("\n");
    top.wait_for_screen(true);
    const auto sent = top.program().screen().rfind("\x1b[?1049h");
    REQUIRE(eventually([&] { return contains(top.program().screen().substr(sent), "q quit"); }));
    top.type("q");
    CHECK(top.program().wait().code == 0);
    CHECK_FALSE(top.view().entered);
}

TEST_CASE("where no shell could continue it, Ctrl-Z only draws everything again")
{
    Project project;
    TopProgram top(project);
    top.wait_for("q quit");
    top.type("\x1a");
    CHECK(eventually([&] {
        const auto& sent = top.program().screen();
        return contains(sent.substr(std::min(sent.find("\x1b[?1049l"), sent.size())), "q quit");
    }));
    top.type("q");
    CHECK(top.end(usual_modes()) == 0);
}

TEST_CASE("a terminal that is closed ends the program")
{
    Project project;
    Program top(on_terminal(project, {"top"}));
    REQUIRE(eventually([&] { return full_screen(top.screen()).entered; }));
    top.hang_up();
    CHECK(top.ends_within(default_timeout));
}

TEST_CASE("without a terminal that can move its cursor, the error names what can be used instead")
{
    Project project;
    const auto ended = project.run({"top"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "must be a terminal"));
    CHECK(contains(ended.err, "autoexec status and autoexec attach"));
    CHECK(ended.out.empty());
    for (const auto* const term : {"dumb", ""}) {
        project.set("TERM", term);
        Program top(on_terminal(project, {"top"}));
        CHECK(top.wait().code == 2);
        CHECK(contains(top.screen(), "autoexec status"));
        CHECK_FALSE(contains(top.screen(), "\x1b"));
    }
}

TEST_CASE("with NO_COLOR, no colours are sent")
{
    Project project;
    project.set("NO_COLOR", "1");
    Program run(project.start({"run", until_go}));
    project.wait_for_running(1);
    TopProgram top(project);
    top.wait_for("1 running");
    for (const auto* const colour : {"\x1b[31m", "\x1b[1;33m", "\x1b[2m"})
        CHECK_FALSE(contains(top.program().screen(), colour));
    CHECK(contains(top.program().screen(), "\x1b[7m> running"));
    top.type("q");
    CHECK(top.end(usual_modes()) == 0);
    project.write("go", "");
    CHECK(run.wait().code == 0);
}

TEST_SUITE_END();
