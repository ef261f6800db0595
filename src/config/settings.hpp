#pragma once

#include "autoexec/config.hpp"

#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The table of settings. Readers, defaults, `autoexec config show`, the reference page and the
/// JSON Schema are derived from it.
namespace autoexec::config {

enum class SettingType {
    boolean,
    integer,
    number,
    choice,
    text,
    file_name,
    duration,  ///< Text: a number and a unit; seconds without one.
    prices,    ///< Text: see `config/prices.hpp`.
    version
};

struct Range {
    double least = -std::numeric_limits<double>::infinity();
    double most = std::numeric_limits<double>::infinity();
    bool above_least = false;  ///< `least` itself is out of range.
};

/// When a changed value takes effect.
enum class Effect {
    next_execution,  ///< For executions that start after a reload.
    next_start,      ///< For executors and agents that start later.
};

/// What the metadata of a workflow, which may come from a repository, can do to a setting.
enum class WorkflowMay { set, lower, not_set };

/// The layers that a repository can contain.
constexpr bool is_of_project(ConfigLayer layer) noexcept
{
    return layer == ConfigLayer::project_config || layer == ConfigLayer::auto_execution ||
           layer == ConfigLayer::workflow;
}

struct Setting {
    std::string key;  ///< Below `auto_execution:`; dots nest.
    SettingType type = SettingType::text;
    std::string documentation;  ///< One or two sentences.
    std::function<SettingValue(const AutoExecutionConfig&)> get;
    std::function<void(AutoExecutionConfig&, const SettingValue&)> set;
    Range range = {};
    std::string unit = {};
    std::vector<std::string_view> choices = {};
    std::string alias = {};   ///< Below `workflow:` in `config.yaml`; empty: none.
    std::string flags = {};   ///< On the command line; empty: none.
    std::string former = {};  ///< The key in version 1.0; empty: the same.
    Effect effect = Effect::next_start;
    WorkflowMay workflow_may = WorkflowMay::set;
    /// Only the user can set it: it names a program to run.
    bool not_for_projects = false;

    /// `a whole number`
    [[nodiscard]] std::string_view type_name() const;
    /// `1 to 1000`, `more than 0`, `warn, refuse or allow`
    [[nodiscard]] std::string allowed() const;
    /// Why a value is invalid: `retry.max_attempts must be >= 1`; empty if it is valid.
    [[nodiscard]] std::string complaint(const SettingValue& value) const;
};

/// `retry` of `retry.enabled`; empty at the top.
std::string_view section_of(std::string_view key);
/// `enabled` of `retry.enabled`.
std::string_view name_of(std::string_view key);
/// `AUTOEXEC_RETRY_MAX_ATTEMPTS` for `retry.max_attempts`.
std::string variable_of(std::string_view key);

/// The settings of this version, in the order of the documentation.
std::vector<Setting> built_in_settings();

class SettingsTable {
public:
    SettingsTable();

    /// Throws `system_error` (`errc::invalid_options`).
    void add_flag(std::string_view name, bool value, std::string documentation);
    void add_extension(std::string_view name, SettingValue value, std::string documentation);

    [[nodiscard]] std::span<const Setting> settings() const noexcept { return settings_; }
    [[nodiscard]] const Setting* find(std::string_view key) const;
    /// The setting that had this key in version 1.0. The old key is still read, with a warning.
    [[nodiscard]] const Setting* find_former(std::string_view key) const;
    /// True for `retry`, the section of `retry.enabled`.
    [[nodiscard]] bool is_section(std::string_view key) const;
    /// The names of settings and sections directly below a section (empty: at the top).
    [[nodiscard]] std::vector<std::string_view> names_in(std::string_view section) const;
    /// Includes those of added flags and settings.
    [[nodiscard]] const AutoExecutionConfig& defaults() const noexcept { return defaults_; }

private:
    template <auto Values, class T>
    void add(std::string key, T value, std::string documentation);

    std::vector<Setting> settings_;
    AutoExecutionConfig defaults_;
};

inline constexpr std::string_view current_version = "1.1";

}  // namespace autoexec::config
