#include "handoff/agent_mailbox.hpp"
#include "protocol/control_files.hpp"
#include "records/running.hpp"
#include "support/executor_fixture.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>

#include <doctest/doctest.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <set>

/// Recovery that is killed before each of its changes to files, one after the other.
using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace control = autoexec::control_files;

namespace {

/// Changes that this process may still make to files; negative: as many as it wants.
int changes_left = -1;

void count_change() noexcept
{
    if (changes_left < 0) return;
    if (changes_left-- == 0) (void)::raise(SIGKILL);
}

template <class Function>
Function* original(const char* name)
{
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// These stand in for the C library's in this program.
extern "C" {

int unlink(const char* path) noexcept
{
    count_change();
    static auto* const real = original<int(const char*)>("unlink");
    return real(path);
}

int unlinkat(int folder, const char* path, int flags) noexcept
{
    count_change();
    static auto* const real = original<int(int, const char*, int)>("unlinkat");
    return real(folder, path, flags);
}

int renameat(int from, const char* old_path, int to, const char* new_path) noexcept
{
    count_change();
    static auto* const real = original<int(int, const char*, int, const char*)>("renameat");
    return real(from, old_path, to, new_path);
}

int rmdir(const char* path) noexcept
{
    count_change();
    static auto* const real = original<int(const char*)>("rmdir");
    return real(path);
}

ssize_t write(int fd, const void* data, size_t size)
{
    count_change();
    static auto* const real = original<ssize_t(int, const void*, size_t)>("write");
    return real(fd, data, size);
}

}  // extern "C"

namespace {

void make_git_dir(const fs::path& tree)
{
    write_file(tree / ".git/HEAD", "ref: refs/heads/main\n");
    fs::create_directories(tree / ".git/objects");
    fs::create_directories(tree / ".git/refs");
}

/// A worktree with an attempt whose executor was killed.
struct DeadEngine {
    TemporaryFolder project;
    TemporaryFolder tree;
    std::unique_ptr<handoff::AgentMailbox> agent;

    /// How far the attempt had come.
    enum class Agent { none, dead, live };

    explicit DeadEngine(Agent kind, bool in_git = true)
    {
        if (in_git) make_git_dir(tree.path());
        int published[2];
        int over[2];
        REQUIRE(::pipe2(published, O_CLOEXEC) == 0);
        REQUIRE(::pipe2(over, O_CLOEXEC) == 0);
        const pid_t engine = ::fork();
        if (engine == 0) run_engine(published[1], over);
        char byte = 0;
        ::close(published[1]);
        REQUIRE(::read(published[0], &byte, 1) == 1);
        if (kind != Agent::none) claim();
        for (const int end : {published[0], over[0], over[1]}) ::close(end);
        ::waitpid(engine, nullptr, 0);
        if (kind == Agent::dead) agent.reset();
        REQUIRE_FALSE(records::request_cancel(project.path(), attempt_id()));
    }

    [[noreturn]] void run_engine(int published, const int (&over)[2]) noexcept
    {
        char byte = 0;
        ::close(over[1]);
        ExecutorFixture f;
        f.options = options(f);
        f.start(CommandRequest("build", tree.path()));
        f.clock->run_until(f.ctx, 3s);
        (void)!::write(published, "x", 1);
        (void)!::read(over[0], &byte, 1);
        ::_exit(0);  // as kill -9 would
    }

    void claim()
    {
        agent = handoff::AgentMailbox::open(tree.path(), control::status);
        const auto found = agent->find(false);
        REQUIRE(found.state == handoff::AgentMailbox::Found::State::command);
        REQUIRE(agent->claim(found, "agent"));
        AgentStatus s;
        s.structured = true;
        s.status = ReportedStatus::running;
        s.attempt_id = found.command.attempt_id;
        REQUIRE_FALSE(agent->write_status(protocol::format_status(s)));
    }

    [[nodiscard]] std::string attempt_id() const
    {
        const auto entries = records::list_running(project.path());
        REQUIRE(entries.size() == 1);
        return entries.front().record.attempt_id;
    }

    ExecutorOptions options(ExecutorFixture& f) const
    {
        auto o = f.plain_options();
        o.project_root = project.path();
        o.handoff.reset();
        o.enable_metrics = true;
        o.enable_audit = true;
        return o;
    }

    void recover() const
    {
        ExecutorFixture f;
        f.options = options(f);
        asio::co_spawn(f.ctx, f.make().recover(),
                       [](std::exception_ptr e, const auto&) { CHECK_FALSE(e); });
        f.clock->run(f.ctx);
    }

    /// False once recovery makes fewer changes.
    [[nodiscard]] bool recover_killed_after(int changes) const
    {
        const pid_t child = ::fork();
        if (child == 0) {
            changes_left = changes;
            recover();
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFSIGNALED(status);
    }

    [[nodiscard]] std::set<std::string> leftovers() const
    {
        std::set<std::string> found;
        for (const auto& entry : fs::directory_iterator(tree.path()))
            if (entry.path().filename() != ".git") found.insert(entry.path().string());
        std::error_code none;
        for (const auto& root : {tree / ".git/autoexec", project / ".tapps-agents/running"})
            for (const auto& entry : fs::recursive_directory_iterator(root, none))
                if (!entry.is_directory()) found.insert(entry.path().string());
        return found;
    }
};

}  // namespace

TEST_CASE("recovery that is killed at any step leaves nothing that the next one does not clear")
{
    auto kind = DeadEngine::Agent::none;
    bool in_git = true;
    SUBCASE("no agent had the command") {}
    SUBCASE("no agent had the command, outside git")
    {
        in_git = false;
    }
    SUBCASE("its agent is gone, too")
    {
        kind = DeadEngine::Agent::dead;
    }
    SUBCASE("its agent is still at work")
    {
        kind = DeadEngine::Agent::live;
    }
    bool killed = true;
    int changes = 0;
    for (; killed; ++changes) {
        CAPTURE(changes);
        REQUIRE(changes < 200);
        DeadEngine dead(kind, in_git);
        killed = dead.recover_killed_after(changes);
        dead.agent.reset();  // it has stopped, or was killed as well
        dead.recover();
        CHECK(dead.leftovers() == std::set<std::string>());
        ExecutionMetricsCollector records(asio::system_executor(), [&] {
            MetricsOptions o;
            o.project_root = dead.project.path();
            return o;
        }());
        CHECK(records.get_metrics({}).size() == 1);
    }
    CHECK(changes > 10);
}

namespace {

std::map<std::string, std::string> files_below(const fs::path& folder)
{
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) found[entry.path().string()] = read_file(entry.path());
    return found;
}

/// What other commands, and a person, have left in a folder.
void write_files_of_others(const fs::path& tree)
{
    protocol::CommandFile command;
    command.command = "build";
    command.attempt_id = "of-another";
    protocol::CancelFile cancel;
    cancel.attempt_id = "of-another";
    write_file(tree / control::command, protocol::format_command(command));
    write_file(tree / control::simple, "build");
    write_file(tree / control::metadata, protocol::format_metadata(command, "build"));
    write_file(tree / control::cancel, protocol::format_cancel(cancel));
    write_file(tree / control::status, R"({"status": "completed"})");
    write_file(tree / ".cursor" / control::status, R"({"attempt_id": "of-another"})");
    write_file(tree / ".cursor-skill-tmp.0123", "{}");
}

}  // namespace

TEST_CASE("recovery removes nothing in a worktree that only the record names")
{
    const TemporaryFolder project;
    const TemporaryFolder victim;
    SUBCASE("in git")
    {
        make_git_dir(victim.path());
    }
    SUBCASE("outside git") {}
    write_files_of_others(victim.path());
    const auto before = files_below(victim.path());
    protocol::RunningRecord record;
    record.execution_id = text::new_uuid();
    record.attempt_id = text::new_uuid();
    record.worktree = victim.path().string();
    leave_record(project.path(), record);

    ExecutorFixture f;
    f.options.project_root = project.path();
    f.options.handoff.reset();
    std::size_t told = 0;
    asio::co_spawn(f.ctx, f.make().recover(), [&](std::exception_ptr e, const auto& attempts) {
        CHECK_FALSE(e);
        told = attempts.size();
    });
    f.clock->run(f.ctx);
    CHECK(told == 1);
    CHECK(files_below(victim.path()) == before);
    CHECK(records::list_running(project.path()).empty());
}
