#pragma once

#include "autoexec/config.hpp"
#include "autoexec/health.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

inline constexpr std::uint64_t plenty = std::uint64_t{1} << 40;

/// A machine on which all is well, until a test says otherwise.
struct FakeMachine {
    HealthProbes::FileSystem disk;
    std::map<std::string, std::uint64_t> inotify = {{"max_user_watches", 8192},
                                                    {"max_user_instances", 128}};
    std::chrono::system_clock::time_point now =
        std::chrono::sys_days{std::chrono::year{2026} / 1 / 20};
    std::chrono::system_clock::duration file_system_ahead{0};
    std::map<std::string, std::string> variables;
    /// By the last part of the program's path.
    std::map<std::string, HealthProbes::ProgramRun> programs;
    std::vector<std::string> runs;  ///< `PROGRAM ARGUMENTS`

    FakeMachine()
    {
        disk.free_bytes = disk.free_inodes = disk.total_inodes = plenty;
        for (const auto* name : {"true", "git", "claude"}) programs[name].exit_code = 0;
        programs["git"].output = "git version 2.39.5\n";
        programs["claude"].output = "2.1.0 (Claude Code)\n";
    }

    HealthProbes probes()
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
};

/// A project on that machine.
class HealthFixture {
public:
    HealthFixture()
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
        std::filesystem::create_directory(root());
    }

    [[nodiscard]] std::filesystem::path root() const { return folder / "project"; }

    [[nodiscard]] HealthChecker checker()
    {
        auto all = options;
        all.probes = machine.probes();
        return HealthChecker(std::move(all));
    }

    /// `lines` is what follows `agents:`.
    void write_agents(std::string_view lines) const
    {
        write_file(root() / ".cursor/background-agents.yaml", "agents:\n" + std::string(lines));
    }

    /// In the one folder of PATH.
    void install(const std::string& program) const
    {
        write_file(folder / "bin" / program, "");
        ::chmod((folder / "bin" / program).c_str(), 0755);
    }

    /// Another worktree, outside git.
    std::filesystem::path add_worktree(const std::string& name)
    {
        if (options.worktrees.empty()) options.worktrees.push_back(root());
        options.worktrees.push_back(folder / name);
        std::filesystem::create_directory(folder / name);
        return folder / name;
    }

    TemporaryFolder folder;
    FakeMachine machine;
    HealthOptions options;
};

/// A folder that somebody holds, as an engine does.
class HeldFolder {
public:
    explicit HeldFolder(const std::filesystem::path& path)
        : fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    {
        REQUIRE(::flock(fd_, LOCK_EX | LOCK_NB) == 0);
    }
    ~HeldFolder() { ::close(fd_); }
    HeldFolder(const HeldFolder&) = delete;
    HeldFolder& operator=(const HeldFolder&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_;
};

/// All below a folder: names, types, sizes, times and content.
inline std::string listing(const std::filesystem::path& folder)
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

inline void check_is(const HealthCheckResult& result, HealthStatus status,
                     std::string_view part_of_message)
{
    CAPTURE(boost::json::serialize(to_json(result)));
    CHECK(to_string(result.status) == to_string(status));
    CHECK(result.message.find(part_of_message) != std::string::npos);
    // A finding without a way out of it helps nobody.
    CHECK(result.remedy.empty() == (status == HealthStatus::healthy));
}

}  // namespace autoexec::test
