#pragma once

#include <autoexec/diagnostic.hpp>
#include <autoexec/error.hpp>

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

class Spawner;

/// The status of a check, from best to worst.
enum class HealthStatus {
    healthy,
    degraded,   ///< Commands run, but something does not work, or will soon stop working.
    unhealthy,  ///< Commands will not run, or their outcomes will not be recorded.
};

std::string_view to_string(HealthStatus status) noexcept;

/// The result of a check.
struct HealthCheckResult {
    std::string name;
    HealthStatus status = HealthStatus::healthy;
    std::string message;  ///< One sentence: the finding.
    /// For programs. `problems` is a list of all problems, if there are several.
    boost::json::object details = {};
    std::string remedy = {};  ///< How to correct it; empty if there is no problem.
};

boost::json::object to_json(const HealthCheckResult& result);

/// `{overall_status, checks: […]}`
boost::json::object to_json(std::span<const HealthCheckResult> results);

/// The worst of them; healthy if there is none.
HealthStatus overall_status(std::span<const HealthCheckResult> results) noexcept;

/// How the checks measure the system. Empty functions: the real ones.
struct HealthProbes {
    /// The file system of a path.
    struct FileSystem {
        std::uint64_t device = 0;      ///< Its number: each file system is checked once.
        std::uint64_t free_bytes = 0;  ///< For this user, not for root.
        std::uint64_t free_inodes = 0;
        std::uint64_t total_inodes = 0;  ///< Zero: the file system does not count them.
        bool remote = false;             ///< On a network: no file events from other hosts.
    };
    /// How a program ended.
    struct ProgramRun {
        error_code error;     ///< Why it did not start.
        std::string problem;  ///< The message for it, or why its end is unknown.
        std::optional<int> exit_code;
        bool timed_out = false;  ///< It was stopped.
        std::string output;      ///< At most 4 KiB of each stream; standard error is last.
    };

    std::function<std::optional<FileSystem>(const std::filesystem::path&)> file_system;
    /// A number below `/proc/sys/fs/inotify`.
    std::function<std::optional<std::uint64_t>(const std::string& name)> inotify_limit;
    std::function<std::chrono::system_clock::time_point()> now;
    /// The modification time of a file that is written in that folder now.
    std::function<std::optional<std::chrono::system_clock::time_point>(
        const std::filesystem::path&)>
        file_time;
    std::function<ProgramRun(const std::vector<std::string>& argv,
                             const std::filesystem::path& directory,
                             std::chrono::milliseconds limit)>
        run;
    /// A variable of the environment; empty if it is not set.
    std::function<std::string(const std::string& name)> variable;
};

/// What a `HealthChecker` checks.
struct HealthOptions {
    std::filesystem::path project_root;  ///< Empty: the current directory.
    /// Relative ones count from the project. Empty: the project and its repository's worktrees.
    std::vector<std::filesystem::path> worktrees;
    std::string status_file_name = ".cursor-skill-status.json";
    std::vector<unsigned> allowed_owners;  ///< User ids whose status files are accepted.

    // Unhealthy with less than this, degraded with less than four times as much.
    std::uint64_t min_free_bytes = 256 * 1024 * 1024;
    std::uint64_t min_free_inodes = 10'000;

    /// Time limit of each program; all programs of a check together have three times as long.
    std::chrono::milliseconds program_limit = std::chrono::seconds{5};
    /// Run the programs of all agents with `--version`. If false, only those that are known to
    /// support it: a script may take it for a command.
    bool deep = false;

    /// Returns the problems of the settings, for applications that have registered their own.
    /// Empty: those that an `AutoExecutionConfigManager` of the project finds.
    std::function<std::vector<Diagnostic>()> configuration;

    std::shared_ptr<Spawner> spawner;  ///< Null: the real one.
    HealthProbes probes;
};

/// Checks that commands can run: before the first one, or after a failure.
///
/// A check only reads: it creates no folder, leaves no file behind, and takes a lock only for the
/// moment in which it checks whether the lock is held. It does not throw: a failure, also an
/// exception, is its result. It blocks; for milliseconds, if it runs no program.
///
/// For checks of your own, derive from it and override `check_all`, or call `add_check`.
///
/// Thread safety: distinct objects are safe. On a shared object `add_check` must not run at the
/// same time as any other function; the others may if the probes and the added checks allow it.
class HealthChecker {
public:
    explicit HealthChecker(HealthOptions options = {});
    virtual ~HealthChecker() = default;

    /// Runs all checks in the order of the functions below, then those that were added.
    [[nodiscard]] virtual std::vector<HealthCheckResult> check_all() const;

    /// The worst result of `check_all`, which it runs.
    [[nodiscard]] virtual HealthStatus get_overall_status() const;

    /// Adds a check to `check_all`. An empty name in its result is replaced by `name`.
    void add_check(std::string name, std::function<HealthCheckResult()> check);

    /// @{
    /// One check; `doc/health.md` describes each.
    [[nodiscard]] virtual HealthCheckResult check_configuration() const;
    [[nodiscard]] virtual HealthCheckResult check_file_system() const;
    [[nodiscard]] virtual HealthCheckResult check_status_file_access() const;
    [[nodiscard]] virtual HealthCheckResult check_command_file_access() const;

    // Programs.
    [[nodiscard]] virtual HealthCheckResult check_supervisor() const;
    [[nodiscard]] virtual HealthCheckResult check_agent_programs() const;
    [[nodiscard]] virtual HealthCheckResult check_agent_setup() const;
    [[nodiscard]] virtual HealthCheckResult check_git() const;

    // The machine.
    [[nodiscard]] virtual HealthCheckResult check_disk_space() const;
    [[nodiscard]] virtual HealthCheckResult check_inotify() const;
    [[nodiscard]] virtual HealthCheckResult check_clock() const;

    // Running and ended commands.
    [[nodiscard]] virtual HealthCheckResult check_records() const;
    [[nodiscard]] virtual HealthCheckResult check_claims_and_locks() const;
    [[nodiscard]] virtual HealthCheckResult check_leftovers() const;
    [[nodiscard]] virtual HealthCheckResult check_agents() const;
    [[nodiscard]] virtual HealthCheckResult check_starts() const;
    /// @}

protected:
    /// For checks of a derived class.
    [[nodiscard]] const HealthOptions& options() const noexcept { return options_; }

private:
    HealthOptions options_;
    std::vector<std::pair<std::string, std::function<HealthCheckResult()>>> added_;
};

}  // namespace autoexec::inline v1
