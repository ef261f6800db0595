#include "files/trust.hpp"
#include "agent/agents_file_reader.hpp"
#include "agent/environment.hpp"
#include "agent/output_log.hpp"
#include "autoexec/config.hpp"
#include "files/safe_files.hpp"
#include "records/log_file.hpp"
#include "records/running.hpp"

#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

using namespace autoexec;
using namespace autoexec::test;
namespace fs = std::filesystem;

namespace {

// No system has users or groups of these numbers by default.
constexpr uid_t stranger = 2'000'000'001;
constexpr uid_t host_user = 2'000'000'002;
constexpr gid_t daemon_group = 1;

struct stat of(uid_t owner, gid_t group, mode_t mode)
{
    struct stat st {};
    st.st_uid = owner;
    st.st_gid = group;
    st.st_mode = S_IFREG | mode;
    return st;
}

std::string distrust_of(const struct stat& st, uid_t project_owner = ::geteuid())
{
    return files::distrust(st, {"/project/a file", project_owner});
}

bool has(const std::string& text, std::string_view part)
{
    return text.find(part) != text.npos;
}

bool is_root(const char* what)
{
    if (::geteuid() == 0) return true;
    MESSAGE("skipped: only root can make " << what);
    return false;
}

void make_writable(const fs::path& path, mode_t mode)
{
    REQUIRE(::chmod(path.c_str(), mode) == 0);
}

void give_away(const fs::path& path, uid_t owner)
{
    REQUIRE(::lchown(path.c_str(), owner, owner) == 0);
}

constexpr char one_agent[] =
    "agents:\n  - name: a\n    type: background\n    commands: [\"run {command}\"]\n";

struct Project : TemporaryFolder {
    fs::path agents = *this / ".cursor/background-agents.yaml";
    fs::path config = *this / ".tapps-agents/auto_execution_config.yaml";
    fs::path user_config = *this / "user/autoexec/config.yaml";
    fs::path elsewhere = *this / "elsewhere";

    Project()
    {
        write_file(agents, one_agent);
        write_file(config, "auto_execution:\n  retry:\n    max_attempts: 2\n");
        write_file(user_config, "auto_execution:\n  retry:\n    max_attempts: 3\n");
        fs::create_directories(elsewhere);
    }

    std::string agents_problem() const
    {
        const auto reading = load_agents(path());
        return reading.errors.empty() ? std::string() : reading.errors.at(0).message;
    }
    std::string config_problem() const
    {
        AutoExecutionConfigManager manager({}, path());
        manager.set_environment({"XDG_CONFIG_HOME=" + (*this / "user").string()});
        (void)manager.load(false);
        return to_string(manager.diagnostics());
    }
    void link_record_folder(const std::string& name) const
    {
        fs::create_directory_symlink(elsewhere, path() / ".tapps-agents" / name);
    }
};

protocol::RunningRecord record_of(const std::string& attempt_id)
{
    protocol::RunningRecord record;
    record.execution_id = "e";
    record.attempt_id = attempt_id;
    record.worktree = "/tree";
    return record;
}

}  // namespace

TEST_SUITE_BEGIN("trust");

TEST_CASE("only files that the user or root alone can write are trusted")
{
    const auto us = ::geteuid();
    const auto our_group = ::getegid();
    CHECK(distrust_of(of(us, our_group, 0600)).empty());
    CHECK(distrust_of(of(us, daemon_group, 0644)).empty());
    CHECK(distrust_of(of(0, 0, 0644)).empty());
    CHECK(distrust_of(of(0, 0, 0664)).empty());  // root's own group
    const auto others = distrust_of(of(us, our_group, 0666));
    CHECK(has(others, "every user can write to it (mode 0666"));
    CHECK(has(others, "run: chmod go-w '/project/a file'"));
    CHECK(has(distrust_of(of(us, daemon_group, 0664)), "its group can write to it"));
    CHECK(has(distrust_of(of(us, our_group, 0602)), "chmod go-w"));
    CHECK(has(distrust_of(of(stranger, 0, 0600)), "it belongs to user 2000000001"));
    CHECK(has(distrust_of(of(stranger, 0, 0600)), "sudo chown"));
}

TEST_CASE("root trusts the owner of the project, as in a container with a mounted repository")
{
    if (!is_root("the difference")) return;
    CHECK(distrust_of(of(host_user, host_user, 0644), host_user).empty());
    CHECK(distrust_of(of(host_user, host_user, 0664), host_user).empty());  // both are unknown here
    CHECK_FALSE(distrust_of(of(host_user, daemon_group, 0664), host_user).empty());
    CHECK_FALSE(distrust_of(of(host_user, host_user, 0666), host_user).empty());
    CHECK_FALSE(distrust_of(of(stranger, stranger, 0644), host_user).empty());
    REQUIRE(::seteuid(65534) == 0);
    const bool ordinary = files::is_trusted_owner(host_user, host_user);
    const bool own = files::is_trusted_owner(65534, host_user);
    REQUIRE(::seteuid(0) == 0);
    CHECK_FALSE(ordinary);
    CHECK(own);
}

TEST_CASE_FIXTURE(Project, "an agents file that others can write is refused with the correction")
{
    CHECK(agents_problem().empty());
    for (const auto& path : {agents, agents.parent_path()}) {
        const auto mode = fs::status(path).permissions();
        make_writable(path, 0777);
        CHECK(has(agents_problem(), "run: chmod go-w " + path.string()));
        fs::permissions(path, mode);
        CHECK(agents_problem().empty());
    }
    if (!is_root("another user's file")) return;
    give_away(agents, stranger);
    CHECK(has(agents_problem(), "it belongs to user 2000000001"));
    give_away(path(), stranger);
    CHECK(agents_problem().empty());  // the project's owner
}

TEST_CASE_FIXTURE(Project, "a configuration or a folder that others can write is refused")
{
    CHECK(config_problem().empty());
    for (const auto& path :
         {config, config.parent_path(), user_config, user_config.parent_path()}) {
        const auto mode = fs::status(path).permissions();
        make_writable(path, 0777);
        CHECK(has(config_problem(), "error: "));
        CHECK(has(config_problem(), "run: chmod go-w " + path.string()));
        fs::permissions(path, mode);
        CHECK(config_problem().empty());
    }
    fs::remove(config);  // then somebody could put one there
    make_writable(config.parent_path(), 0777);
    CHECK(has(config_problem(), "run: chmod go-w " + config.parent_path().string()));
    if (!is_root("another user's file")) return;
    make_writable(config.parent_path(), 0755);
    write_file(config, "");
    give_away(config, stranger);
    CHECK(has(config_problem(), "it belongs to user 2000000001"));
}

TEST_CASE_FIXTURE(Project, "another user's records are not appended to")
{
    if (!is_root("another user's file")) return;
    const auto log = elsewhere / "a.log";
    write_file(log, "old\n");
    give_away(log, stranger);
    records::LogFile file({elsewhere, {}}, {}, Durability::process, records::Disk::real());
    std::string_view lines = "new\n";
    CHECK(file.append("a.log", lines) == errc::unsafe_path);
    CHECK(lines == "new\n");
    CHECK(read_file(log) == "old\n");

    write_file(*this / ".tapps-agents/output/b.log", "old\n");
    give_away(*this / ".tapps-agents/output/b.log", stranger);
    agent::OutputLog output(path(), "b.log", std::make_shared<const Redactor>(), 1000, 1000);
    output.append(OutputStream::standard_output, "new\n");
    output.finish();
    CHECK(output.tail() == "new\n");
    CHECK(read_file(*this / ".tapps-agents/output/b.log") == "old\n");
}

TEST_CASE_FIXTURE(Project, "folders of records are not reached through links")
{
    for (const auto* name : {"output", "running"}) link_record_folder(name);
    agent::OutputLog output(path(), "a.log", std::make_shared<const Redactor>(), 1000, 1000);
    output.append(OutputStream::standard_output, "new\n");
    output.finish();
    CHECK(records::RunningRecords(path()).put(record_of("a")));
    CHECK(records::request_cancel(path(), "a"));
    write_file(elsewhere / "cancel/a", "");
    CHECK_FALSE(records::consume_cancel_request(path(), "a"));
    CHECK(fs::exists(elsewhere / "cancel/a"));
    fs::remove_all(elsewhere / "cancel");
    CHECK(fs::is_empty(elsewhere));
}

TEST_CASE_FIXTURE(Project, "a working directory does not lead out of the worktree through a link")
{
    AgentDefinition definition;
    const auto problem = [&](const std::string& wanted) {
        definition.working_directory = wanted;
        return agent::working_directory_problem(definition, path());
    };
    fs::create_directories(*this / "tree/sub");
    fs::create_directory_symlink("tree/sub", *this / "inside");
    fs::create_directory_symlink("/usr", *this / "outside");
    fs::create_directory_symlink("..", *this / "tree/up");
    CHECK(problem("").empty());
    CHECK(problem("tree/sub").empty());
    CHECK(problem("inside").empty());
    CHECK(problem("tree/up").empty());
    CHECK(problem("${PROJECT_ROOT}/tree").empty());
    CHECK(problem("/usr").empty());  // said by the user
    CHECK(has(problem("outside"), "leads out of the worktree"));
    CHECK(has(problem("outside/bin"), "leads out of the worktree"));
    CHECK(has(problem("absent"), "No such file or directory"));
    CHECK(has(problem(".cursor/background-agents.yaml"), "Not a directory"));
}

TEST_CASE_FIXTURE(
    Project, "a file that cannot be a running record is reported, and removed where it is safe")
{
    records::RunningRecords living(path());
    REQUIRE_FALSE(living.put(record_of("living")));
    const auto running = *this / ".tapps-agents/running";
    const std::string whole = R"({"attempt_id": "A", "execution_id": "e", "worktree": "/tree"})";
    write_file(running / "A.json", whole);
    write_file(running / "B.json", whole);
    write_file(running / "relative.json",
               R"({"attempt_id": "relative", "execution_id": "e", "worktree": "tree"})");
    write_file(running / "text.json", "text");
    write_file(running / "later.json", R"({"engine": 1})");
    write_file(running / "large.json", std::string(protocol::running_limit + 1, ' '));
    fs::create_directories(running / "folder.json");
    fs::create_symlink(agents, running / "link.json");

    CHECK(records::list_running(path()).size() == 2);  // living, A
    CHECK(records::find_broken_records(path()).size() == 7);
    records::sweep_running(path());
    const auto left = records::find_broken_records(path());
    CHECK(left.size() == 2);
    for (const auto& record : left) CHECK_FALSE(record.removable);
    for (const auto* name : {"A.json", "later.json", "folder.json"})
        CHECK(fs::exists(running / name));
    for (const auto* name : {"B.json", "relative.json", "text.json", "large.json", "link.json"})
        CHECK_FALSE(fs::exists(fs::symlink_status(running / name)));
    CHECK(read_file(agents) == one_agent);
}

TEST_SUITE_END();
