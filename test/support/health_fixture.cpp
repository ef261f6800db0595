#include "support/health_fixture.hpp"

#include "autoexec/config.hpp"

#include <doctest/doctest.h>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

namespace autoexec::test {

FakeMachine::FakeMachine()
{
    disk.free_bytes = disk.free_inodes = disk.total_inodes = plenty;
    for (const auto* name : {"true", "git", "claude"}) programs[name].exit_code = 0;
    programs["git"].output = "git version 2.39.5\n";
    programs["claude"].output = "2.1.0 (Claude Code)\n";
}

FakeMachine::~FakeMachine() = default;

HealthProbes FakeMachine::probes()
{
    HealthProbes p;
    p.file_system = [this](const std::filesystem::path&) { return std::optional(disk); };
    p.inotify_limit = [this](const std::string& name) {
        const auto found = inotify.find(name);
        return found == inotify.end() ? std::nullopt : std::optional(found->second);
    };
    p.now = [this] { return now; };
    p.file_time = [this](const std::filesystem::path&) {
        return std::optional(now + file_system_ahead);
    };
    p.variable = [this](const std::string& name) { return variables[name]; };
    p.run = [this](const std::vector<std::string>& argv, const std::filesystem::path&,
                   std::chrono::milliseconds) {
        const auto name = std::filesystem::path(argv.front()).filename().string();
        auto& line = runs.emplace_back(name);
        for (std::size_t i = 1; i < argv.size(); ++i) line += " " + argv[i];
        return programs[name];
    };
    return p;
}

HealthFixture::HealthFixture()
{
    options.project_root = root();
    // Without this user's own file and environment.
    options.configuration = [root = root()] {
        AutoExecutionConfigManager manager({}, root);
        manager.set_environment({});
        (void)manager.load(false);
        return manager.diagnostics();
    };
    machine.variables["PATH"] = (folder / "bin").string();
    machine.variables["HOME"] = home().string();
    machine.variables["ANTHROPIC_API_KEY"] = "secret-key";
    std::filesystem::create_directory(root());
}

HealthFixture::~HealthFixture() = default;

HealthChecker HealthFixture::checker()
{
    auto all = options;
    all.probes = machine.probes();
    return HealthChecker(std::move(all));
}

void HealthFixture::write_agents(std::string_view lines) const
{
    write_file(root() / ".cursor/background-agents.yaml", "agents:\n" + std::string(lines));
}

void HealthFixture::install(const std::string& program) const
{
    write_file(folder / "bin" / program, "");
    ::chmod((folder / "bin" / program).c_str(), 0755);
}

std::filesystem::path HealthFixture::add_worktree(const std::string& name)
{
    if (options.worktrees.empty()) options.worktrees.push_back(root());
    options.worktrees.push_back(folder / name);
    std::filesystem::create_directory(folder / name);
    return folder / name;
}

HeldFolder::HeldFolder(const std::filesystem::path& path)
    : fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))
{
    REQUIRE(::flock(fd_, LOCK_EX | LOCK_NB) == 0);
}

HeldFolder::~HeldFolder()
{
    ::close(fd_);
}

std::string listing(const std::filesystem::path& folder)
{
    namespace fs = std::filesystem;
    std::map<std::string, std::string> entries;
    const auto note = [&entries](const fs::path& path) {
        struct stat st {};
        ::lstat(path.c_str(), &st);
        auto& text = entries[path.string()];
        for (const auto number :
             {static_cast<long>(st.st_mode), static_cast<long>(st.st_size),
              static_cast<long>(st.st_mtim.tv_sec), static_cast<long>(st.st_mtim.tv_nsec)})
            text += " " + std::to_string(number);
        if (S_ISREG(st.st_mode)) text += " " + read_file(path);
    };
    note(folder);
    for (const auto& entry : fs::recursive_directory_iterator(folder)) note(entry.path());
    std::string all;
    for (const auto& [name, text] : entries) all += name + text + "\n";
    return all;
}

void check_is(const HealthCheckResult& result, HealthStatus status,
              std::string_view part_of_message)
{
    CAPTURE(boost::json::serialize(to_json(result)));
    CHECK(to_string(result.status) == to_string(status));
    CHECK(result.message.find(part_of_message) != std::string::npos);
    // A finding without a way out of it helps nobody.
    CHECK(result.remedy.empty() == (status == HealthStatus::healthy));
}

}  // namespace autoexec::test
