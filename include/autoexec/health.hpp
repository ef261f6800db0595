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

/// From good to bad.
enum class HealthStatus {
    healthy,
    degraded,   ///< Works, but not all of it, or not for long.
    unhealthy,  ///< Commands will not run, or their ends will not be recorded.
};

std::string_view to_string(HealthStatus status) noexcept;

/// What one check found.
struct HealthCheckResult {
    std::string name;
    HealthStatus status = HealthStatus::healthy;
    std::string message;  ///< One sentence: what was found.
    /// For programs. `problems` lists all that was found, where it is more than the message says.
    boost::json::object details = {};
    std::string remedy = {};  ///< What to do about it; empty if nothing.
};

boost::json::object to_json(const HealthCheckResult& result);

/// `{overall_status, checks: […]}`
boost::json::object to_json(std::span<const HealthCheckResult> results);

/// The worst of them; healthy if there is none.
HealthStatus overall_status(std::span<const HealthCheckResult> results) noexcept;

/// What the checks ask the system for. Empty ones: the real thing.
struct HealthProbes {
    /// The file system of a path.
    struct FileSystem {
        std::uint64_t device = 0;      ///< Which one it is: each is judged once.
        std::uint64_t free_bytes = 0;  ///< For us, not for root.
        std::uint64_t free_inodes = 0;
        std::uint64_t total_inodes = 0;  ///< Zero: the file system doesn't count them.
        bool remote = false;             ///< On a network: no events from other hosts.
    };
    /// How a program ended.
    struct ProgramRun {
        error_code error;     ///< Why it did not start.
        std::string problem;  ///< The sentence for it, or why its end is unknown.
        std::optional<int> exit_code;
        bool timed_out = false;  ///< It was stopped.
        std::string output;      ///< Of both streams, at most 4 KiB each; errors come last.
    };

    std::function<std::optional<FileSystem>(const std::filesystem::path&)> file_system;
    /// A number below `/proc/sys/fs/inotify`.
    std::function<std::optional<std::uint64_t>(const std::string& name)> inotify_limit;
    std::function<std::chrono::system_clock::time_point()> now;
    /// The time that a file gets which is written in that folder now.
    std::function<std::optional<std::chrono::system_clock::time_point>(
        const std::filesystem::path&)>
        file_time;
    std::function<ProgramRun(const std::vector<std::string>& argv,
                             const std::filesystem::path& directory,
                             std::chrono::milliseconds limit)>
        run;
    /// A variable of the environment; empty if it isn't set.
    std::function<std::string(const std::string& name)> variable;
};

/// What a `HealthChecker` checks.
struct HealthOptions {
    std::filesystem::path project_root;  ///< Empty: the current directory.
    /// Relative ones count from the project. Empty: the project and its repository's worktrees.
    std::vector<std::filesystem::path> worktrees;
    std::string status_file_name = ".cursor-skill-status.json";
    std::vector<unsigned> allowed_owners;  ///< User ids whose status files are believed.

    // Floors: unhealthy below them, degraded below four times as much.
    std::uint64_t min_free_bytes = 256 * 1024 * 1024;
    std::uint64_t min_free_inodes = 10'000;

    /// For each program that is run; three times as long for all programs of a check.
    std::chrono::milliseconds program_limit = std::chrono::seconds{5};
    /// Ask all agents' programs for their version. Else only those which are known to take
    /// `--version` as a question: a script may take it as a command.
    bool deep = false;

    /// What is wrong with the settings, for applications that have registered some of their own.
    /// Empty: as an `AutoExecutionConfigManager` of the project's finds.
    std::function<std::vector<Diagnostic>()> configuration;

    std::shared_ptr<Spawner> spawner;  ///< Null: the real thing.
    HealthProbes probes;
};

/// Looks whether commands would run here: before the first one, or when something went wrong.
///
/// A check only looks: it creates no folder, leaves no file behind, and takes no lock for longer
/// than it takes to see whether somebody has it. It throws nothing: what fails in it, an exception
/// included, is its result. It blocks, for milliseconds where no program has to be run.
///
/// Derive from it and override `check_all` for checks of your own, or add them from outside.
///
/// Thread safety: distinct objects are safe. On a shared object `add_check` must not run together
/// with anything else; the other functions may if the probes and the added checks allow it.
class HealthChecker {
public:
    explicit HealthChecker(HealthOptions options = {});
    virtual ~HealthChecker() = default;

    /// All checks in the order of the functions below, then those that were added.
    [[nodiscard]] virtual std::vector<HealthCheckResult> check_all() const;

    /// The worst result of `check_all`, which it runs.
    [[nodiscard]] virtual HealthStatus get_overall_status() const;

    /// Runs with `check_all` from now on. An empty name in its result is replaced by `name`.
    void add_check(std::string name, std::function<HealthCheckResult()> check);

    /// @{
    /// One check; `doc/health.md` describes what it looks at.
    [[nodiscard]] virtual HealthCheckResult check_configuration() const;
    [[nodiscard]] virtual HealthCheckResult check_file_system() const;
    [[nodiscard]] virtual HealthCheckResult check_status_file_access() const;
    [[nodiscard]] virtual HealthCheckResult check_command_file_access() const;

    // Programs.
    [[nodiscard]] virtual HealthCheckResult check_supervisor() const;
    [[nodiscard]] virtual HealthCheckResult check_agent_programs() const;
    [[nodiscard]] virtual HealthCheckResult check_git() const;

    // The machine.
    [[nodiscard]] virtual HealthCheckResult check_disk_space() const;
    [[nodiscard]] virtual HealthCheckResult check_inotify() const;
    [[nodiscard]] virtual HealthCheckResult check_clock() const;

    // What runs and what has run.
    [[nodiscard]] virtual HealthCheckResult check_records() const;
    [[nodiscard]] virtual HealthCheckResult check_claims_and_locks() const;
    [[nodiscard]] virtual HealthCheckResult check_leftovers() const;
    [[nodiscard]] virtual HealthCheckResult check_agents() const;
    /// @}

protected:
    /// For checks of a derived class.
    [[nodiscard]] const HealthOptions& options() const noexcept { return options_; }

private:
    HealthOptions options_;
    std::vector<std::pair<std::string, std::function<HealthCheckResult()>>> added_;
};

}  // namespace autoexec::inline v1
