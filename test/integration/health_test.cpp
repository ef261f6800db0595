#include "autoexec/health.hpp"

#include "git_files/index_file.hpp"
#include "handoff/claims.hpp"
#include "protocol/command_file.hpp"
#include "protocol/layout.hpp"
#include "records/running.hpp"
#include "support/health_fixture.hpp"
#include "support/planted.hpp"
#include "support/worktree_fixture.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <optional>

using namespace autoexec;
using namespace std::chrono_literals;
using test::check_is;
using test::HealthFixture;
using test::HeldFolder;
using test::write_file;

namespace fs = std::filesystem;

namespace {

constexpr auto healthy = HealthStatus::healthy;
constexpr auto degraded = HealthStatus::degraded;
constexpr auto unhealthy = HealthStatus::unhealthy;

/// With the real machine, but for where the supervisor is.
struct RealProject : HealthFixture {
    RealProject()
    {
        options.spawner = supervised_spawner(AUTOEXEC_BINARY_DIR "/autoexec-supervise");
    }

    [[nodiscard]] HealthChecker checker() const { return HealthChecker(options); }

    void make_repository() const
    {
        for (const auto* name : {"objects", "refs"}) fs::create_directories(root() / ".git" / name);
        write_file(root() / ".git/HEAD", "ref: refs/heads/main\n");
    }

    /// What an agent called `name` runs; a script in the one folder of PATH.
    void write_script(const std::string& name, const std::string& text) const
    {
        install(name);
        write_file(folder / "bin" / name, "#!/bin/sh\n" + text);
        write_agents("  - name: a\n    type: background\n    commands: ['" + name +
                     " {command}']\n    environment: {PATH: " + (folder / "bin").string() + "}\n");
    }

    [[nodiscard]] std::unique_ptr<records::RunningRecords> start(const std::string& attempt) const
    {
        protocol::RunningRecord record;
        record.execution_id = "execution-of-" + attempt;
        record.attempt_id = attempt;
        record.worktree = root().string();
        record.started_at = text::parse_iso("2026-01-20T00:00:00+00:00");
        record.pid = ::getpid();
        auto records = std::make_unique<records::RunningRecords>(root());
        REQUIRE_FALSE(records->put(record));
        return records;
    }

    [[nodiscard]] std::optional<handoff::Claim> claim(const std::string& attempt) const
    {
        const int fd = ::open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        error_code ec;
        const auto claims = handoff::open_claims_folder(fd, root(), ec);
        ::close(fd);
        auto taken = handoff::Claim::create(claims.get(), attempt,
                                            "{\"worktree\": \"" + root().string() + "\"}", ec);
        REQUIRE_MESSAGE(taken, ec.message());
        return taken;
    }
};

/// A file system of 64 KiB, seen by this process only. Not every user may make one.
class SmallDisk {
public:
    explicit SmallDisk(fs::path path) : path_(std::move(path))
    {
        fs::create_directories(path_);
        mounted_ = ::unshare(CLONE_NEWNS) == 0 &&
                   ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                   ::mount("none", path_.c_str(), "tmpfs", 0, "size=64k") == 0;
    }
    ~SmallDisk()
    {
        if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    [[nodiscard]] bool mounted() const noexcept { return mounted_; }
    void fill() const { write_file(path_ / "filling", std::string(128 * 1024, 'x')); }
    [[nodiscard]] bool make_read_only() const
    {
        return ::mount("none", path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    }

private:
    fs::path path_;
    bool mounted_ = false;
};

}  // namespace

TEST_CASE("looking at an empty folder leaves nothing in it")
{
    const RealProject p;
    const auto before = test::listing(p.root());
    const auto results = p.checker().check_all();
    CHECK(overall_status(results) == degraded);  // there is no agents file
    CHECK(test::listing(p.root()) == before);
}

TEST_CASE("looking at a project with work, records and left-overs changes none of it")
{
    const RealProject p;
    p.make_repository();
    p.write_script("agent-of-the-test", "echo 1.2.3\n");
    (void)p.claim("gone");
    const auto alive = p.claim("alive");
    (void)p.start("dead");
    write_file(p.root() / ".cursor-skill-command.txt", "{}");
    write_file(p.root() / ".cursor/.cursor-skill-status.json", "no JSON");
    write_file(p.root() / ".tapps-agents/audit/execution_audit.log", "torn");
    fs::create_symlink("nowhere", p.root() / ".cursor-skill-status.json");
    const auto before = test::listing(p.root());
    const auto results = p.checker().check_all();
    CHECK(overall_status(results) == degraded);
    CHECK(test::listing(p.root()) == before);
}

TEST_CASE("the real supervisor runs the real git")
{
    const RealProject p;
    check_is(p.checker().check_supervisor(), healthy, "supervised");
    check_is(p.checker().check_git(), healthy, "git version");
}

TEST_CASE("tracked control files are reported, with the command that untracks them")
{
    test::WorktreeFixture f;
    f.write(".cursor-skill-status.json", "{}");
    f.write("file-before-it", "x");
    f.write("sub/.cursor-skill-status.json", "not at the top");
    f.git({"add", "-f", "."});
    f.git({"commit", "-q", "-m", "left by an agent"});
    std::string version = "2";
    SUBCASE("index version 2") {}
    SUBCASE("index version 3")
    {
        version = "3";
        f.write("intended", "x");
        f.git({"add", "-N", "intended"});
    }
    SUBCASE("index version 4")
    {
        version = "4";
    }
    f.git({"update-index", "--index-version", version});
    HealthOptions options;
    options.project_root = f.root();
    options.spawner = f.options.spawner;
    const HealthChecker checker(options);
    const auto found = checker.check_git();
    check_is(found, degraded, ".cursor-skill-status.json");
    CHECK(test::contains(found.message, "git status shows them as deleted"));
    CHECK(test::contains(found.remedy, "rm --cached -- .cursor-skill-status.json"));

    f.git({"rm", "-q", "--cached", "--", ".cursor-skill-status.json"});
    CHECK(checker.check_git().status == healthy);
}

TEST_CASE("an index that is not understood is no finding")
{
    const test::WorktreeFixture f;
    const auto index = f.root() / ".git/index";
    for (const std::string& text :
         {std::string(), std::string("DIRC"), std::string("DIRC\0\0\0\2\xff\xff\xff\xff", 12),
          test::read_file(index).substr(0, 90), std::string(4096, '\xff')}) {
        write_file(index, text);
        CHECK(git_files::tracked_among(f.root() / ".git", {"file", "folder/other"}).empty());
    }
}

TEST_CASE("without a supervisor no command can be started")
{
    RealProject p;
    p.options.spawner = supervised_spawner(p.folder / "none");
    check_is(p.checker().check_supervisor(), unhealthy, "Commands cannot be started");
}

TEST_CASE("the version of a program is read from both streams")
{
    RealProject p;
    p.options.deep = true;
    for (const auto* text : {"echo; echo 1.2.3; echo more\n", "echo 1.2.3 >&2\n"}) {
        p.write_script("agent-of-the-test", text);
        const auto result = p.checker().check_agent_programs();
        check_is(result, healthy, "1 agent");
        const auto program = (p.folder / "bin/agent-of-the-test").string();
        CHECK(result.details.at("programs").at(program) == "1.2.3");
    }
}

TEST_CASE("a program that hangs and ignores TERM is killed")
{
    RealProject p;
    p.options.deep = true;
    p.options.program_limit = 2s;  // enough to begin
    p.write_script("agent-of-the-test", "trap '' TERM\necho $$ > " + (p.folder / "pid").string() +
                                            "\nwhile :; do :; done\n");
    check_is(p.checker().check_agent_programs(), degraded, "in time");
    const auto pid = std::stoi(test::read_file(p.folder / "pid"));
    CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("a file that is no program degrades")
{
    RealProject p;
    p.options.deep = true;
    p.write_script("agent-of-the-test", "");
    write_file(p.folder / "bin/agent-of-the-test", "#!/no/such/interpreter\n");
    check_is(p.checker().check_agent_programs(), degraded, "--version' failed");
}

TEST_CASE("what is planted in a status file's place is named and not waited for")
{
    for (const auto kind : test::all_planted) {
        CAPTURE(test::name_of(kind));
        const RealProject p;
        write_file(p.folder / "target", R"({"status": "completed"})");
        if (!test::plant(kind, p.root() / ".cursor-skill-status.json", p.folder / "target"))
            continue;
        check_is(p.checker().check_status_file_access(), degraded, "is not accepted");
    }
}

TEST_CASE("what is planted in the command file's place is named")
{
    for (const auto kind : test::all_planted) {
        CAPTURE(test::name_of(kind));
        const RealProject p;
        if (!test::plant(kind, p.root() / ".cursor-skill-command.txt", p.folder / "target"))
            continue;
        const bool in_the_way = kind == test::Planted::directory;
        check_is(p.checker().check_command_file_access(), in_the_way ? unhealthy : degraded,
                 in_the_way ? "is a folder" : "not a regular file");
    }
}

TEST_CASE("on a full disk neither commands nor records can be written")
{
    const RealProject p;
    const SmallDisk disk(p.root());
    if (!disk.mounted()) return;
    check_is(p.checker().check_command_file_access(), healthy, "can be written");
    disk.fill();
    check_is(p.checker().check_command_file_access(), unhealthy, "No space left");
    check_is(p.checker().check_file_system(), unhealthy, "No space left");
    check_is(p.checker().check_records(), unhealthy, "No space left");
    check_is(p.checker().check_disk_space(), unhealthy, "0 MiB left");
}

TEST_CASE("on a read-only disk neither commands nor records can be written")
{
    const RealProject p;
    const SmallDisk disk(p.root());
    if (!disk.mounted()) return;
    write_file(p.root() / ".tapps-agents/audit/execution_audit.log", "");
    REQUIRE(disk.make_read_only());
    check_is(p.checker().check_command_file_access(), unhealthy, "Read-only");
    check_is(p.checker().check_file_system(), unhealthy, "Read-only");
    check_is(p.checker().check_records(), unhealthy, "Read-only");
}

TEST_CASE("a folder that we may not write to is unhealthy")
{
    const RealProject p;
    ::chmod(p.folder.path().c_str(), 0755);
    ::chmod(p.root().c_str(), 0555);
    // For root every folder is writable.
    const bool is_root = ::geteuid() == 0;
    if (is_root) REQUIRE(::seteuid(65534) == 0);
    const auto commands = p.checker().check_command_file_access();
    const auto records = p.checker().check_records();
    if (is_root) REQUIRE(::seteuid(0) == 0);
    check_is(commands, unhealthy, "Permission denied");
    check_is(records, unhealthy, "Permission denied");
    ::chmod(p.root().c_str(), 0755);
}

TEST_CASE("records can be written where there are none yet, and where there are")
{
    const RealProject p;
    check_is(p.checker().check_records(), healthy, "can be written");
    (void)p.start("dead");
    write_file(p.root() / ".tapps-agents/audit/execution_audit.log", "");
    write_file(p.root() / ".tapps-agents/metrics/executions_2026-01-20.jsonl", "");
    check_is(p.checker().check_records(), healthy, "can be written");
}

TEST_CASE("a link or a FIFO in a log's place is unhealthy")
{
    for (const auto kind : {test::Planted::link, test::Planted::fifo}) {
        const RealProject p;
        write_file(p.folder / "target", "");
        REQUIRE(test::plant(kind, p.root() / ".tapps-agents/audit/execution_audit.log",
                            p.folder / "target"));
        check_is(p.checker().check_records(), unhealthy, "not a regular file");
    }
}

TEST_CASE("a log that another process holds degrades")
{
    const RealProject p;
    const auto log = p.root() / ".tapps-agents/metrics/executions_2026-01-20.jsonl";
    write_file(log, "");
    const int fd = ::open(log.c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(::flock(fd, LOCK_EX | LOCK_NB) == 0);
    check_is(p.checker().check_records(), degraded, "Another process has locked the log");
    ::close(fd);
    check_is(p.checker().check_records(), healthy, "can be written");
}

TEST_CASE("a claim whose agent has ended is stale, unless its executor is about to remove it")
{
    for (const bool in_git : {false, true}) {
        const RealProject p;
        if (in_git) p.make_repository();
        (void)p.claim("gone");
        check_is(p.checker().check_claims_and_locks(), degraded, "attempt gone");
        const auto running = p.start("gone");
        const HeldFolder engine(p.root());
        check_is(p.checker().check_claims_and_locks(), healthy, "Each claim has its agent");
    }
}

TEST_CASE("an agent for which no executor waits is named")
{
    const RealProject p;
    const auto claim = p.claim("alone");
    check_is(p.checker().check_claims_and_locks(), degraded, "no executor waits");
    const auto running = p.start("alone");
    const HeldFolder engine(p.root());
    const auto result = p.checker().check_claims_and_locks();
    check_is(result, healthy, "Each claim has its agent");
    CHECK(result.details.at("claims") == 1);
    CHECK(result.details.at("in_flight") == 1);
}

TEST_CASE("a worktree that is held although nothing is in flight there is named")
{
    const RealProject p;
    const HeldFolder engine(p.root());
    check_is(p.checker().check_claims_and_locks(), degraded, "no attempt is running");
    const auto running = p.start("one");
    check_is(p.checker().check_claims_and_locks(), healthy, "each lock its attempt");
}

TEST_CASE("an executor that holds a worktree long after the deadline is named")
{
    RealProject p;
    const auto running = p.start("late");  // at 2026-01-20T00:00:00
    const HeldFolder engine(p.root());
    protocol::CommandFile command;
    command.command = "make";
    command.attempt_id = "late";
    command.deadline_seconds = 100.0;
    write_file(p.root() / ".cursor-skill-command.txt", protocol::format_command(command));
    const std::chrono::sys_seconds start = std::chrono::sys_days{std::chrono::year{2026} / 1 / 20};
    p.options.probes.now = [start] { return start + 159s; };
    check_is(p.checker().check_claims_and_locks(), healthy, "each lock its attempt");
    p.options.probes.now = [start] { return start + 161s; };
    check_is(p.checker().check_claims_and_locks(), degraded,
             text::shown_time(std::chrono::system_clock::time_point(start + 100s)));

    command.attempt_id = "another";  // whose deadline is no matter of this one
    write_file(p.root() / ".cursor-skill-command.txt", protocol::format_command(command));
    check_is(p.checker().check_claims_and_locks(), healthy, "each lock its attempt");
}

TEST_CASE("an executor that died leaves a record, which is named")
{
    const RealProject p;
    auto running = p.start("one");
    check_is(p.checker().check_leftovers(), healthy, "There are no left-over files");
    running.reset();
    check_is(p.checker().check_leftovers(), degraded, "execution-of-one");
}

TEST_CASE("a record of an executor on another host is named, with what removes it")
{
    const RealProject p;
    (void)p.start("one");
    const auto lock = fs::directory_iterator(p.root() / layout::engines)->path();
    write_file(lock, R"({"host": "elsewhere", "boot_id": "", "pid": 1})");
    const auto result = p.checker().check_leftovers();
    check_is(result, degraded, "was started on the host elsewhere");
    CHECK(test::contains(result.remedy, "running/engines"));
}

TEST_CASE("control files for which no executor waits are leftovers")
{
    for (const auto* name : {".cursor-skill-command.txt", ".cursor-skill-command-simple.txt",
                             ".cursor-skill-metadata.json", ".cursor-skill-status.json",
                             ".cursor-skill-cancel.json", ".cursor-skill-tmp.0123"}) {
        const RealProject p;
        write_file(p.root() / name, "{}");
        check_is(p.checker().check_leftovers(), degraded, name);
        const HeldFolder engine(p.root());
        check_is(p.checker().check_leftovers(), healthy, "There are no left-over files");
    }
}

TEST_CASE("folders in place of control files are reported, with what removes them")
{
    const RealProject p;
    std::filesystem::create_directories(p.root() / ".cursor-skill-cancel.json/x");
    const auto found = p.checker().check_leftovers();
    check_is(found, degraded, ".cursor-skill-cancel.json");
    CHECK(found.remedy.find("If that fails, remove it yourself") != std::string::npos);
    CHECK(found.remedy.find("No action is needed") == std::string::npos);
}

TEST_CASE("control files are not left over while an agent lives")
{
    const RealProject p;
    write_file(p.root() / ".cursor-skill-cancel.json", "{}");
    auto claim = p.claim("alone");
    check_is(p.checker().check_leftovers(), healthy, "There are no left-over files");
    claim.reset();
    check_is(p.checker().check_leftovers(), degraded, ".cursor-skill-cancel.json");
}

TEST_CASE("where executors that hold no lock are at work, no control file counts as left over")
{
    const RealProject p;
    p.write_agents(
        "  - name: a\n    type: background\n    commands: ['run {command}']\n"
        "global:\n  accept_legacy: true\n");
    write_file(p.root() / ".cursor-skill-command.txt", R"({"command": "make"})");
    check_is(p.checker().check_leftovers(), healthy, "There are no left-over files");
}
