#pragma once

#include "autoexec/health.hpp"
#include "support/temporary_folder.hpp"

#include <chrono>
#include <cstdint>
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

    FakeMachine();
    ~FakeMachine();

    HealthProbes probes();
};

/// A project on that machine.
class HealthFixture {
public:
    HealthFixture();
    ~HealthFixture();

    [[nodiscard]] std::filesystem::path root() const { return folder / "project"; }

    [[nodiscard]] std::filesystem::path home() const { return folder / "home"; }

    [[nodiscard]] HealthChecker checker();

    /// `lines` is what follows `agents:`.
    void write_agents(std::string_view lines) const;

    /// In the one folder of PATH.
    void install(const std::string& program) const;

    /// Another worktree, outside git.
    std::filesystem::path add_worktree(const std::string& name);

    TemporaryFolder folder;
    FakeMachine machine;
    HealthOptions options;
};

/// A folder that somebody holds, as an executor does.
class HeldFolder {
public:
    explicit HeldFolder(const std::filesystem::path& path);
    ~HeldFolder();
    HeldFolder(const HeldFolder&) = delete;
    HeldFolder& operator=(const HeldFolder&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_;
};

/// All below a folder: names, types, sizes, times and content.
std::string listing(const std::filesystem::path& folder);

void check_is(const HealthCheckResult& result, HealthStatus status,
              std::string_view part_of_message);

}  // namespace autoexec::test
