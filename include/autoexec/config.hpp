#pragma once

#include <autoexec/diagnostic.hpp>
#include <autoexec/error.hpp>
#include <autoexec/execution_options.hpp>
#include <autoexec/output_rules.hpp>
#include <autoexec/work_options.hpp>

#include <boost/json/fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace autoexec::inline v1 {

struct AgentOptions;
struct AuditOptions;
struct ExecutorOptions;
struct MetricsOptions;

/// The value of a setting. Choices are text, durations in seconds are `double`.
using SettingValue = std::variant<bool, std::int64_t, double, std::string>;

/// Creation of worktrees, and their removal by `autoexec worktree gc`.
struct WorktreesConfig {
    std::size_t keep = 0;
    std::string older_than = "0s";  ///< With its unit: `7d`.
    bool delete_branches = false;
    bool auto_gc = false;
    std::uint64_t min_free_bytes = 512ULL * 1024 * 1024;
    std::uint64_t max_file_bytes = 100ULL * 1024 * 1024;

    bool operator==(const WorktreesConfig&) const = default;
};

/// Removal of old records by `autoexec records gc`. Zero: no limit.
struct RecordsConfig {
    std::string older_than = "0s";  ///< With its unit: `90d`.
    std::uint64_t max_bytes = 0;    ///< Of all together.
    std::size_t keep = 0;           ///< Of each kind, the newest ones.
    bool auto_gc = false;           ///< Also before commands are run.

    bool operator==(const RecordsConfig&) const = default;
};

/// Limits of what commands may cost, checked before one starts. Zero: no limit. Tokens are those of
/// input, output, and those written to a cache.
struct BudgetConfig {
    double max_cost_per_run = 0;  ///< USD
    std::int64_t max_tokens_per_run = 0;
    double max_cost_per_day = 0;  ///< Of the UTC day.
    std::int64_t max_tokens_per_day = 0;

    bool operator==(const BudgetConfig&) const = default;
};

/// Of what the program notifies a person, and by which ways.
struct NotifyConfig {
    bool needs_input = false;  ///< A command or a manual step waits for a person.
    bool failed = false;       ///< An execution has failed or timed out.
    bool completed = false;
    bool run_ended = false;
    bool budget = false;  ///< A limit of `BudgetConfig` is reached.

    std::string program;  ///< And its arguments, quoted as for a shell. Empty: none.
    bool bell = false;
    bool desktop = false;

    bool operator==(const NotifyConfig&) const = default;
};

/// How `autoexec workflow report --create-pr` creates a pull request.
struct PullRequestConfig {
    /// And its arguments, quoted as for a shell. `doc/cli.md` has the values in braces.
    std::string program =
        "gh pr create --head={branch} --title={title} --body-file=- --base={base}";

    bool operator==(const PullRequestConfig&) const = default;
};

/// The values of all settings. A setting has the words of its option: `timeouts.start_seconds` sets
/// `executor.start_timeout`. `doc/configuration.md` describes each, with its range.
struct AutoExecutionConfig {
    /// The program limits parallel commands; the library does not by default.
    AutoExecutionConfig() { executor.max_parallel = 8; }

    bool enabled = true;
    std::string version = "1.1";
    bool retry_enabled = true;    ///< False: `executor_options` allows one attempt.
    bool polling_enabled = true;  ///< False: `executor_options` polls at the maximum interval.
    ExecutorSettings executor;
    WorkOptions agent;
    RecordsConfig records;
    WorktreesConfig worktrees;
    BudgetConfig budget;
    NotifyConfig notify;
    PullRequestConfig pull_request;
    /// For commands that name no agent if several accept commands; empty: none. Used by the
    /// program.
    std::string default_agent;
    bool debug = false;
    std::map<std::string, bool, std::less<>> flags;               ///< See `register_flag`.
    std::map<std::string, SettingValue, std::less<>> extensions;  ///< See `register_setting`.

    bool operator==(const AutoExecutionConfig&) const = default;
};

/// Options with the values of a configuration. Members that are not settings (the interfaces to the
/// system, the agents) have their defaults. Does not validate: values out of range are copied.
ExecutorOptions executor_options(const AutoExecutionConfig& config,
                                 std::filesystem::path project_root = {});
/// As `executor_options`, for an agent.
AgentOptions agent_options(const AutoExecutionConfig& config,
                           std::filesystem::path project_root = {});
/// As `executor_options`, for a separate audit log.
AuditOptions audit_options(const AutoExecutionConfig& config,
                           std::filesystem::path project_root = {});
/// As `executor_options`, for a separate metrics collector.
MetricsOptions metrics_options(const AutoExecutionConfig& config,
                               std::filesystem::path project_root = {});

/// Where a value comes from, in ascending precedence.
enum class ConfigLayer {
    defaults,
    user_file,       ///< `$XDG_CONFIG_HOME/autoexec/config.yaml`
    project_config,  ///< `.tapps-agents/config.yaml`, section `workflow:`
    auto_execution,  ///< `.tapps-agents/auto_execution_config.yaml`
    workflow,        ///< the `metadata:` of a workflow
    environment,     ///< `AUTOEXEC_…`
    command_line,
};

/// Where the value of a setting comes from.
struct ConfigOrigin {
    ConfigLayer layer = ConfigLayer::defaults;
    std::string source;  ///< A path, a variable, an option; empty for defaults.
    int line = 0;        ///< From 1; zero where there is none.
    int column = 0;

    bool operator==(const ConfigOrigin&) const = default;
};
/// `default`, `FILE:7`, `environment AUTOEXEC_DEBUG`, `command line --timeout` …
std::string to_string(const ConfigOrigin& origin);

/// A setting with its value and the origin of the value.
struct EffectiveSetting {
    std::string key;
    SettingValue value;
    ConfigOrigin origin;
};
/// The form in a file.
std::string to_string(const SettingValue& value);

/// An invalid configuration (`errc::invalid_configuration`); `what()` lists all errors.
class InvalidConfiguration : public system_error {
public:
    explicit InvalidConfiguration(std::vector<Diagnostic> diagnostics);
    /// The errors and warnings.
    [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const noexcept;
    const char* what() const noexcept override;

private:
    struct Content;
    std::shared_ptr<const Content> content_;  // so that copying it does not throw
};

/// Reads, validates and writes the configuration of a project. All functions block.
///
///     AutoExecutionConfigManager manager({}, "/path/to/project");
///     manager.register_flag("fancy", false, "Enable the fancy way.");
///     BackgroundAgentAutoExecutor executor(ctx, executor_options(manager.load(), root));
///
/// Layers, the first that sets a value wins: command line, environment, workflow metadata,
/// `auto_execution_config.yaml`, the `workflow:` section of `config.yaml`, the user's file,
/// defaults. A file that does not exist sets nothing.
///
/// Thread safety: distinct objects are safe, shared ones are not.
class AutoExecutionConfigManager {
public:
    /// Defaults: `<project_root>/.tapps-agents/auto_execution_config.yaml`, and the current
    /// directory. Copies the environment of the process.
    explicit AutoExecutionConfigManager(std::filesystem::path config_path = {},
                                        std::filesystem::path project_root = {});
    ~AutoExecutionConfigManager();
    AutoExecutionConfigManager(AutoExecutionConfigManager&&) noexcept;
    AutoExecutionConfigManager& operator=(AutoExecutionConfigManager&&) noexcept;

    // Before `load`:

    /// Adds a flag of the application: `features.NAME` in the file. Throws `system_error`
    /// (`errc::invalid_options`) if the name is already in use or is not a plain word.
    void register_flag(std::string_view name, bool value, std::string documentation);
    /// Adds a setting of the application: `extensions.NAME`; dots in the name nest. `value` is
    /// the default and fixes the type. Throws as `register_flag`.
    void register_setting(std::string_view name, SettingValue value, std::string documentation);
    /// Replaces the environment, `NAME=value` each.
    void set_environment(std::vector<std::string> environment);
    /// Sets a value from the command line; `option` is its name there. Throws `system_error`
    /// (`errc::invalid_options`) for an unknown key, another type, or a value out of range.
    void override_setting(std::string_view key, SettingValue value, std::string option);
    /// Sets the `metadata` of a workflow, in which `auto_execution` is true, false, or an object
    /// of settings.
    void set_workflow_metadata(boost::json::object metadata);

    /// Reads all layers, unless no file has changed since. Throws `InvalidConfiguration`; with
    /// `validate` false, invalid values are ignored instead.
    AutoExecutionConfig load(bool validate = true);

    /// Reads all layers again. Throws `InvalidConfiguration`; then the loaded values are kept.
    AutoExecutionConfig reload();

    /// True if a file has changed since it was last read.
    [[nodiscard]] bool changed_on_disk() const;

    /// Throws `InvalidConfiguration` if values are out of range or contradict each other. Without
    /// an argument, reads and validates the files.
    void validate(const std::optional<AutoExecutionConfig>& config = {});

    /// Writes the values that differ from the loaded ones to the auto-execution file, atomically.
    /// The rest of the file is kept, including comments, line ends and its mode; a new file has
    /// mode 0600. Throws `InvalidConfiguration` for values out of range, for those that the project
    /// cannot set (`notify.program`), for a file that cannot be read, and if comments would be
    /// lost; `system_error` if it cannot be written.
    void save(const std::optional<AutoExecutionConfig>& config = {});

    /// Updates the auto-execution file to the current version: renames the keys of earlier
    /// versions, and sets the version. Comments, order, line ends and the mode are kept. Returns
    /// the changes as a unified diff; empty if the file is up to date or does not exist. `dry_run`:
    /// does not write. Throws as `save`.
    std::string migrate(bool dry_run = false);

    /// False for an unknown name. An object `auto_execution.features` in `workflow_override` takes
    /// precedence.
    [[nodiscard]] bool get_feature_flag(std::string_view name,
                                        const boost::json::object& workflow_override);
    /// The same, without a workflow.
    [[nodiscard]] bool get_feature_flag(std::string_view name);

    /// Errors and warnings of the last reading, ordered by layer and line.
    [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const noexcept;

    /// Every setting, in the order of the documentation.
    [[nodiscard]] std::vector<EffectiveSetting> settings() const;
    /// Where the value of a setting comes from; the defaults for an unknown key.
    [[nodiscard]] ConfigOrigin origin(std::string_view key) const;

    /// The reference page in Markdown, with the added settings.
    [[nodiscard]] std::string reference() const;
    /// A JSON Schema for editors, with the added settings.
    [[nodiscard]] boost::json::object schema() const;

    /// The auto-execution file, which `save` writes.
    [[nodiscard]] const std::filesystem::path& config_path() const noexcept;
    /// The folder of the project.
    [[nodiscard]] const std::filesystem::path& project_root() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The keys of the settings that differ.
std::vector<std::string> changed_settings(const AutoExecutionConfig& before,
                                          const AutoExecutionConfig& after);
/// False: a changed value applies only to executors and agents that are constructed later.
bool takes_effect_at_once(std::string_view key);

}  // namespace autoexec::inline v1
