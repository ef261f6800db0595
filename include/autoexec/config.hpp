#pragma once

#include <autoexec/diagnostic.hpp>
#include <autoexec/error.hpp>
#include <autoexec/execution_options.hpp>
#include <autoexec/file.hpp>

#include <boost/json/fwd.hpp>

#include <chrono>
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

namespace autoexec {

struct AgentOptions;
struct AuditOptions;
struct ExecutorOptions;
struct MetricsOptions;

/// What a setting can hold. Choices are text.
using SettingValue = std::variant<bool, std::int64_t, double, std::string>;

/// The settings `retry.*`.
struct RetryConfig {
    bool enabled = true;
    std::int64_t max_attempts = 3;
    double backoff_multiplier = 2.0;
    double initial_delay_seconds = 1.0;
    double max_delay_seconds = 60.0;

    bool operator==(const RetryConfig&) const = default;
};

/// The settings `polling.*`.
struct PollingConfig {
    bool enabled = true;
    double interval_seconds = 5.0;
    double timeout_seconds = 3600.0;
    bool adaptive = true;
    double max_interval_seconds = 30.0;

    bool operator==(const PollingConfig&) const = default;
};

/// The settings `features.*`.
struct FeatureFlags {
    bool artifact_detection = true;
    bool status_tracking = true;
    bool error_handling = true;
    bool metrics_collection = true;
    bool audit_logging = true;
    std::map<std::string, bool, std::less<>> custom;  ///< See `register_flag`.

    bool operator==(const FeatureFlags&) const = default;
};

/// The settings `clocks.*`.
struct ClocksConfig {
    double start_seconds = 60.0;
    double stall_seconds = 0.0;
    double total_seconds = 0.0;
    double stop_grace_seconds = 10.0;

    bool operator==(const ClocksConfig&) const = default;
};

/// The settings `limits.*`.
struct LimitsConfig {
    std::int64_t max_concurrency = 8;
    std::int64_t status_bytes = 16 * 1024 * 1024;
    std::int64_t output_bytes = 10 * 1024 * 1024;
    std::int64_t output_tail_bytes = 8 * 1024;
    std::int64_t audit_bytes = 10 * 1024 * 1024;
    std::int64_t audit_backups = 5;

    bool operator==(const LimitsConfig&) const = default;
};

/// The settings `secrets.*`.
struct SecretsConfig {
    SecretsInCommand in_command = SecretsInCommand::warn;

    bool operator==(const SecretsConfig&) const = default;
};

/// The settings `files.*`.
struct FilesConfig {
    std::string status_name = ".cursor-skill-status.json";
    FileAccess access = FileAccess::owner;

    bool operator==(const FilesConfig&) const = default;
};

/// The settings `agent.*`.
struct AgentConfig {
    std::int64_t max_parallel = 0;
    double scan_interval_seconds = 1.0;
    double watch_paths_interval_seconds = 30.0;
    double heartbeat_seconds = 10.0;

    bool operator==(const AgentConfig&) const = default;
};

/// Of `autoexec worktree gc`, and of making worktrees.
struct WorktreesConfig {
    std::int64_t keep = 0;
    std::string older_than = "0s";  ///< With its unit, as `7d`.
    bool delete_branches = false;
    bool auto_gc = false;
    std::int64_t free_space_floor = 512LL * 1024 * 1024;
    std::int64_t max_file_bytes = 100LL * 1024 * 1024;

    bool operator==(const WorktreesConfig&) const = default;
};

/// All settings, in the nesting of the file. What each means, its range and its name in the
/// environment: `doc/configuration.md`.
struct AutoExecutionConfig {
    bool enabled = true;
    std::string version = "1.0";
    RetryConfig retry;
    PollingConfig polling;
    FeatureFlags features;
    ClocksConfig clocks;
    LimitsConfig limits;
    Durability durability = Durability::process;
    OnBusy on_busy = OnBusy::fail;
    SecretsConfig secrets;
    FilesConfig files;
    AgentConfig agent;
    WorktreesConfig worktrees;
    bool debug = false;
    std::map<std::string, SettingValue, std::less<>> extensions;  ///< See `register_setting`.

    bool operator==(const AutoExecutionConfig&) const = default;
};

/// What an engine and an agent are to do. What is no setting (the ports, who runs what) is left
/// to the caller. Of a configuration that was not validated, values out of range are passed on.
ExecutorOptions executor_options(const AutoExecutionConfig& config,
                                 std::filesystem::path project_root = {});
/// As `executor_options`, for an agent.
AgentOptions agent_options(const AutoExecutionConfig& config,
                           std::filesystem::path project_root = {});
/// As `executor_options`, for an audit log of its own.
AuditOptions audit_options(const AutoExecutionConfig& config,
                           std::filesystem::path project_root = {});
/// As `executor_options`, for a metrics collector of its own.
MetricsOptions metrics_options(const AutoExecutionConfig& config,
                               std::filesystem::path project_root = {});

/// Where a value came from, weakest first.
enum class ConfigLayer {
    defaults,
    user_file,       ///< `$XDG_CONFIG_HOME/autoexec/config.yaml`
    project_config,  ///< `.tapps-agents/config.yaml`, its `workflow:` section
    auto_execution,  ///< `.tapps-agents/auto_execution_config.yaml`
    workflow,        ///< the `metadata:` of a workflow
    environment,     ///< `AUTOEXEC_…`
    command_line,
};

/// Where the value of a setting comes from.
struct ConfigOrigin {
    ConfigLayer layer = ConfigLayer::defaults;
    std::string source;  ///< A path, a variable, an option; empty for defaults.
    int line = 0;        ///< 1…; zero where there is none.
    int column = 0;

    bool operator==(const ConfigOrigin&) const = default;
};
/// `default`, `FILE:7`, `environment AUTOEXEC_DEBUG`, `command line --timeout` …
std::string to_string(const ConfigOrigin& origin);

/// A value with where it came from, for people.
struct EffectiveSetting {
    std::string key;
    SettingValue value;
    ConfigOrigin origin;
};
/// As it is written in a file.
std::string to_string(const SettingValue& value);

/// Thrown for a configuration that can't be used (`errc::invalid_configuration`); `what()` lists
/// all that is wrong.
class InvalidConfiguration : public system_error {
public:
    explicit InvalidConfiguration(std::vector<Diagnostic> diagnostics);
    /// What is wrong, and where.
    [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const noexcept;
    const char* what() const noexcept override;

private:
    struct Content;
    std::shared_ptr<const Content> content_;  // so that copying it does not throw
};

/// Reads, checks and writes the configuration of a project. All of it blocks.
///
///     AutoExecutionConfigManager manager({}, "/path/to/project");
///     manager.register_flag("fancy", false, "Do it the fancy way");
///     BackgroundAgentAutoExecutor executor(ctx, executor_options(manager.load(), root));
///
/// Layers, the first that says something wins: command line, environment, workflow metadata,
/// `auto_execution_config.yaml`, the `workflow:` section of `config.yaml`, the user's file,
/// defaults. A file that is not there says nothing.
///
/// Thread safety: distinct objects are safe, shared ones are not.
class AutoExecutionConfigManager {
public:
    /// Empty ones: `<project_root>/.tapps-agents/auto_execution_config.yaml`, and the current
    /// directory. The environment is that of the process when the manager is made.
    explicit AutoExecutionConfigManager(std::filesystem::path config_path = {},
                                        std::filesystem::path project_root = {});
    ~AutoExecutionConfigManager();
    AutoExecutionConfigManager(AutoExecutionConfigManager&&) noexcept;
    AutoExecutionConfigManager& operator=(AutoExecutionConfigManager&&) noexcept;

    // Before `load`:

    /// A flag of the application's own: `features.NAME` in the file. Throws `system_error`
    /// (`errc::invalid_options`) when the name is taken or no plain word.
    void register_flag(std::string_view name, bool value, std::string documentation);
    /// A setting of the application's own: `extensions.NAME`; dots in the name nest. Its type
    /// is that of the default. Throws as `register_flag`.
    void register_setting(std::string_view name, SettingValue value, std::string documentation);
    /// Replaces the environment, `NAME=value` each.
    void set_environment(std::vector<std::string> environment);
    /// A value from the command line; `option` is how it is called there. Throws as
    /// `register_flag` when there is no such key, or its type is another.
    void override_setting(std::string_view key, SettingValue value, std::string option);
    /// The `metadata` of a workflow: `auto_execution` in it is true, false, or an object of
    /// settings.
    void set_workflow_metadata(boost::json::object metadata);

    /// Reads all layers, or gives what was read as long as no file has changed. Throws
    /// `InvalidConfiguration`; with `validate` false what is wrong is left out, and the rest is
    /// used.
    AutoExecutionConfig load(bool validate = true);

    /// Reads all layers anew. Throws `InvalidConfiguration`, and then what was loaded stays.
    AutoExecutionConfig reload();

    /// True when a file has changed since it was last read.
    [[nodiscard]] bool changed_on_disk() const;

    /// Throws `InvalidConfiguration` when values are out of their range, or contradict. Without
    /// an argument: what is in the files now.
    void validate(const std::optional<AutoExecutionConfig>& config = {});

    /// Writes what differs from what was loaded to the auto-execution file, mode 0600, whole or
    /// not at all. All else in the file stays as it is, comments included. Throws
    /// `InvalidConfiguration` for values out of range, and for a file that can't be read;
    /// `system_error` when it can't be written.
    void save(const std::optional<AutoExecutionConfig>& config = {});

    /// False for a name that nobody knows. An object `auto_execution.features` in
    /// `workflow_override` wins.
    [[nodiscard]] bool get_feature_flag(std::string_view name,
                                        const boost::json::object& workflow_override);
    /// The same, without a workflow.
    [[nodiscard]] bool get_feature_flag(std::string_view name);

    /// Errors and warnings of the last reading, in the order of the layers, lines ascending.
    [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const noexcept;

    /// Every setting, in the order of the documentation.
    [[nodiscard]] std::vector<EffectiveSetting> settings() const;
    /// Of one setting; defaults for a key that is not known.
    [[nodiscard]] ConfigOrigin origin(std::string_view key) const;

    /// A page of Markdown for people, custom settings included.
    [[nodiscard]] std::string reference() const;
    /// A JSON Schema for editors, custom settings included.
    [[nodiscard]] boost::json::object schema() const;

    /// The auto-execution file, which `save` writes.
    [[nodiscard]] const std::filesystem::path& config_path() const noexcept;
    /// The folder of the project.
    [[nodiscard]] const std::filesystem::path& project_root() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The keys whose values differ.
std::vector<std::string> changed_settings(const AutoExecutionConfig& before,
                                          const AutoExecutionConfig& after);
/// False: a change is seen by what is started later.
bool takes_effect_at_once(std::string_view key);

}  // namespace autoexec
