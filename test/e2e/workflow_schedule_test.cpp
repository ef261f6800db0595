#include "support/project.hpp"

#include <boost/json/array.hpp>

using namespace autoexec::test;

namespace {

/// A project with a workflow, and a systemctl that notes how it is called.
class ScheduledProject : public Project {
public:
    explicit ScheduledProject(bool with_systemd = true)
    {
        set("XDG_CONFIG_HOME", config().string());
        set("PATH", programs().string() + ":/usr/bin:/bin");
        program("systemctl", with_systemd ? "#!/bin/sh\necho \"$*\" >>\"$(dirname \"$0\")/calls\"\n"
                                          : "#!/bin/sh\necho 'no bus' >&2; exit 1\n");
        program("systemd-analyze", "#!/bin/sh\ncase $3 in *odd*) exit 1 ;; esac\n");
        write("nightly.yaml",
              "id: nightly\nparams: {a: ''}\nsteps: [{id: a, argv: [touch, ran]}]\n");
    }

    [[nodiscard]] fs::path config() const { return root().parent_path() / "config"; }
    [[nodiscard]] fs::path units() const { return config() / "systemd/user"; }
    [[nodiscard]] Words calls() const { return lines_of(read_file(programs() / "calls")); }

    [[nodiscard]] Ended schedule(const Words& more) const
    {
        Words words = {"workflow", "schedule"};
        words.insert(words.end(), more.begin(), more.end());
        return run(words);
    }
    /// The text of its only unit of this kind.
    [[nodiscard]] std::string unit(const std::string& ending) const
    {
        for (const auto& name : names_in(units()))
            if (name.ends_with(ending)) return read_file(units() / name);
        return {};
    }

private:
    [[nodiscard]] fs::path programs() const { return root().parent_path() / "bin"; }
    void program(const std::string& name, std::string_view text) const
    {
        write_file(programs() / name, text);
        fs::permissions(programs() / name, fs::perms::owner_all);
    }
};

}  // namespace

TEST_SUITE_BEGIN("workflow schedule");

TEST_CASE("a workflow is scheduled as a timer, listed and removed")
{
    ScheduledProject project;
    auto ended =
        project.schedule({"nightly.yaml", "--at", "03:00", "--", "--param", "a=50% \"x\""});
    CHECK(ended.code == 0);
    CHECK(ended.out == "scheduled nightly.yaml: *-*-* 03:00:00\n");
    const auto timer = project.unit(".timer");
    CHECK(contains(timer, "\nOnCalendar=*-*-* 03:00:00\nPersistent=true\n"));
    CHECK(contains(timer, "\nWantedBy=timers.target\n"));
    const auto service = project.unit(".service");
    CHECK(contains(service, "\nType=oneshot\nExecStart=\":" + program_path +
                                "\" \"workflow\" \"run\" \"--project\" \"" +
                                project.root().string() + "\" \"--param\" \"a=50%% \\\"x\\\"\" \"" +
                                (project.root() / "nightly.yaml").string() + "\"\n"));
    CHECK(contains(service, "\nRestart=no\n"));

    auto listed = objects_of(project.schedule({"--list", "--json"}).out);
    REQUIRE(listed.size() == 1);
    const auto name = text_at(listed[0], "timer");
    CHECK(name.starts_with("autoexec-schedule-project-nightly-"));
    CHECK(text_at(listed[0], "file") == (project.root() / "nightly.yaml").string());
    CHECK(text_at(listed[0], "enabled") == "false");  // the program in this test does not enable it
    const Words started{"--user daemon-reload", "--user enable " + name, "--user stop " + name,
                        "--user clean --what=state " + name, "--user restart " + name};
    CHECK(project.calls() == started);

    ended = project.schedule({"nightly.yaml", "--every", "2h"});
    CHECK(ended.out == "replaced nightly.yaml: *-*-* 0/2:00:00\n");
    CHECK(project.calls().size() == 2 * started.size());
    // Its times are the same, so triggers that it has missed count.
    CHECK(project.schedule({"nightly.yaml", "--every", "2h", "--", "--param", "a=1"}).code == 0);
    CHECK(project.calls().size() == 2 * started.size() + 3);
    CHECK(contains(project.schedule({"--list"}).out, "*-*-* 0/2:00:00  nightly.yaml  " + name));
    CHECK(Project::names_in(project.units()).size() == 2);

    ended = project.schedule({"nightly.yaml", "--remove"});
    CHECK(ended.code == 0);
    CHECK(Project::names_in(project.units()).empty());
    const auto calls = project.calls();
    CHECK(std::find(calls.begin(), calls.end(), "--user disable --now " + name) != calls.end());
    CHECK(calls.back() == "--user daemon-reload");
    CHECK(contains(project.schedule({"--list"}).err, "No workflow of this project is scheduled"));
    ended = project.schedule({"nightly.yaml", "--remove"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "nightly.yaml is not scheduled"));
}

TEST_CASE("without systemd the units are written, and a message says how to start the timer")
{
    const ScheduledProject project(false);
    const auto ended = project.schedule({"nightly.yaml", "--every", "1d"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "Written, but not started: no bus. To start it:\n"));
    CHECK(contains(ended.err, "systemctl --user enable --now autoexec-schedule-project-nightly-"));
    CHECK(contains(project.unit(".timer"), "OnCalendar=*-*-* 00:00:00\n"));
    // As `systemctl enable` makes it.
    const auto enabled = project.units() / "timers.target.wants";
    fs::create_directories(enabled);
    const auto timer = Project::names_in(project.units());
    for (const auto& name : timer)
        if (name.ends_with(".timer")) fs::create_symlink(project.units() / name, enabled / name);
    CHECK(text_at(objects_of(project.schedule({"--list", "--json"}).out).at(0), "enabled") ==
          "true");
    const auto removed = project.schedule({"nightly.yaml", "--remove"});
    CHECK(removed.code == 0);
    CHECK(contains(removed.err, "Removed, but not stopped: no bus."));
    CHECK(Project::names_in(enabled).empty());
    CHECK(Project::names_in(project.units()) == Words{"timers.target.wants"});
}

TEST_CASE(
    "a secret in the options of a schedule gives a warning, and only its owner reads the units")
{
    ScheduledProject project;
    const auto ended = project.schedule(
        {"nightly.yaml", "--every", "1d", "--", "--env", "API_TOKEN=abcdefgh12345678"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, ".service contains a secret as plain text"));
    CHECK_FALSE(contains(ended.err, "abcdefgh12345678"));
    for (const auto& name : Project::names_in(project.units())) {
        const auto mode = fs::status(project.units() / name).permissions();
        CHECK((mode & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
    }
}

TEST_CASE("--show writes nothing, and invalid schedules are refused")
{
    const ScheduledProject project;
    const auto shown = project.schedule({"nightly.yaml", "--at", "Mon..Fri 07:30", "--show"});
    CHECK(shown.code == 0);
    CHECK(contains(shown.out, "OnCalendar=Mon..Fri *-*-* 07:30:00\n"));
    CHECK(contains(shown.out, "[Service]\n"));
    CHECK_FALSE(fs::exists(project.config()));

    const auto refused = [&](const Words& words, int code, const std::string& problem) {
        const auto ended = project.schedule(words);
        CHECK(ended.code == code);
        CHECK_MESSAGE(contains(ended.err, problem), ended.err);
    };
    refused({"nightly.yaml"}, 2, "give --every TIME or --at TIME");
    refused({}, 2, "give the workflow FILE, or --list");
    refused({"nightly.yaml", "--every", "7m"}, 2, "--every 7m00s is not possible: use 5m,");
    refused({"nightly.yaml", "--every", "30s"}, 2, "is not possible");
    refused({"nightly.yaml", "--at", "25:00"}, 2, "invalid time '25:00'");
    refused({"nightly.yaml", "--at", "3\nExecStart=evil"}, 2, "invalid time");
    refused({"nightly.yaml", "--at=--help"}, 2, "invalid time");
    refused({"nightly.yaml", "--at", "odd"}, 2, "systemd does not accept 'odd'");
    refused({"nightly.yaml", "--every", "1h", "--", "--detach"}, 2, "--detach cannot be scheduled");
    refused({"nightly.yaml", "--every", "1h", "--", "--param", "b=1"}, 3, "no parameter 'b'");
    refused({"nightly.yaml", "--every", "1h", "--", "--odd"}, 2, "--odd");
    refused({"nightly.yaml", "--every", "1h", "--", "--param", "a=\xff"}, 2, "is not UTF-8");
    refused({"nightly.yaml", "--every", "1h", "--", "--param", "a=" + std::string(70'000, 'x')}, 2,
            "more than 64 KiB");
    refused({"nightly.yaml", "--at", "03:00", "--every", "1h"}, 2, "");
    refused({"none.yaml", "--every", "1h"}, 3, "none.yaml");
    project.write("bad.yaml", "id: [\n");
    refused({"bad.yaml", "--every", "1h"}, 3, "bad.yaml:");
    fs::copy_file(project.root() / "nightly.yaml", project.root() / "a\nb.yaml");
    refused({"a\nb.yaml", "--every", "1h"}, 2, "cannot be written into a unit");
    CHECK_FALSE(fs::exists(project.config()));
}

TEST_CASE("what a timer starts runs the workflow")
{
    ScheduledProject project;
    REQUIRE(project.schedule({"nightly.yaml", "--every", "1d", "--", "--in-place"}).code == 0);
    // The words of the unit, which need no other quoting here.
    for (const auto& line : lines_of(project.unit(".service"))) {
        if (!line.starts_with("ExecStart=")) continue;
        auto words = line.substr(line.find('"') + 2);
        Start start = project.start({});
        start.argv = {"/bin/sh", "-c", "exec \"" + words};
        start.folder = "/";
        Program program(start);
        CHECK(program.wait().code == 0);
    }
    CHECK(fs::exists(project.root() / "ran"));
}

TEST_SUITE_END();
