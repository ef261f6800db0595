#pragma once

#include "autoexec/config.hpp"

#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The one table of settings. Readers, defaults, `autoexec config show`, the reference page and the
/// JSON Schema are all made from it.
namespace autoexec::config {

enum class SettingType {
    boolean,
    integer,
    number,
    choice,
    text,
    file_name,
    duration,  ///< Text: a number and its unit; seconds without one.
    version
};

struct Range {
    double least = -std::numeric_limits<double>::infinity();
    double most = std::numeric_limits<double>::infinity();
    bool above_least = false;  ///< `least` itself is not allowed.
};

/// When a changed value is seen.
enum class Effect {
    next_execution,  ///< By what begins after a reload.
    next_start,      ///< By the next engine or agent that is started.
};

struct Setting {
    std::string key;  ///< Below `auto_execution:`, dots for nesting.
    SettingType type = SettingType::text;
    std::string documentation;  ///< One sentence.
    std::function<SettingValue(const AutoExecutionConfig&)> get;
    std::function<void(AutoExecutionConfig&, const SettingValue&)> set;
    Range range = {};
    std::string unit = {};
    std::vector<std::string_view> choices = {};
    std::string alias = {};  ///< Below `workflow:` in `config.yaml`; empty: none.
    Effect effect = Effect::next_start;

    /// `AUTOEXEC_RETRY_MAX_ATTEMPTS`; empty for what belongs to a file.
    [[nodiscard]] std::string environment_name() const;
    /// The part after the last dot.
    [[nodiscard]] std::string_view name() const;
    /// `a whole number`
    [[nodiscard]] std::string_view type_name() const;
    /// `1 to 1000`, `more than 0`, `warn, refuse or allow`
    [[nodiscard]] std::string allowed() const;
    /// What is wrong with a value, in the form `retry.max_attempts must be >= 1`; empty if nothing.
    [[nodiscard]] std::string complaint(const SettingValue& value) const;
};

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
    /// True for `retry`, which `retry.enabled` is below of.
    [[nodiscard]] bool is_section(std::string_view key) const;
    /// The names, of settings and of sections, directly below one (empty: at the top).
    [[nodiscard]] std::vector<std::string_view> names_in(std::string_view section) const;
    /// With the defaults of custom flags and settings, too.
    [[nodiscard]] const AutoExecutionConfig& defaults() const noexcept { return defaults_; }

private:
    void add(Setting setting);

    std::vector<Setting> settings_;
    AutoExecutionConfig defaults_;
};

inline constexpr std::string_view current_version = "1.0";

}  // namespace autoexec::config
