#include "support/project.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <csignal>
#include <optional>
#include <sstream>
#include <string>

using namespace autoexec::test;

namespace {

std::string value_in(const std::string& unit, const std::string& key)
{
    for (const auto& line : lines_of(unit))
        if (line.starts_with(key + "=")) return line.substr(key.size() + 1);
    return {};
}

/// A unit as systemd starts it for a project.
struct Unit {
    explicit Unit(const std::string& name)
        : text(read_file(fs::path(AUTOEXEC_SOURCE_DIR) / "systemd" / name))
    {}

    [[nodiscard]] Start start_in(const Project& project) const
    {
        std::string problem;
        auto words = *autoexec::text::split_words(value_in(text, "ExecStart"), problem);
        REQUIRE(words.front() == ":autoexec");
        words.erase(words.begin());
        std::ranges::replace(words, std::string("%f"), project.root().string());
        return project.start(words);
    }
    /// Whether systemd counts this exit after a stop as a success.
    [[nodiscard]] bool is_success(int code) const
    {
        std::istringstream others(value_in(text, "SuccessExitStatus"));
        bool listed = false;
        for (int other = 0; others >> other;) listed |= other == code;
        return code == 0 || listed;
    }

    std::string text;
};

}  // namespace

TEST_CASE("the unit of an agent starts one, and systemd can stop it")
{
    Project project;
    project.add_agent("one", "true {command}");
    const Unit unit("autoexec-agent@.service");
    auto start = unit.start_in(project);
    start.folder = "/";  // --project is enough
    Program agent(start);
    REQUIRE(eventually([&] { return contains(agent.err(), "looking for commands in "); }));
    agent.signal(SIGTERM);
    CHECK(unit.is_success(agent.wait().code));
    CHECK(value_in(unit.text, "KillMode") == "mixed");  // else the signal reaches its programs, too
}

TEST_CASE("the unit of the queue runs its commands, and systemd can stop it")
{
    Project project;
    const Unit unit("autoexec-queue@.service");
    Program engine(unit.start_in(project));
    REQUIRE(eventually([&] {
        return contains(read_file(project.records() / "queue/engine.lock"),
                        std::to_string(engine.pid()));
    }));
    CHECK(project.run({"run", "--detach", "touch ran"}).code == 0);
    CHECK(project.run({"wait", "--all"}).code == 0);
    CHECK(fs::exists(project.root() / "ran"));
    engine.signal(SIGTERM);
    CHECK(unit.is_success(engine.wait().code));
    // A newer program lets it end, and it takes over again later.
    CHECK(value_in(unit.text, "Restart") == "always");
}
