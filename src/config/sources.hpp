#pragma once

#include "autoexec/file.hpp"
#include "config/layer.hpp"

#include <filesystem>
#include <list>
#include <map>
#include <string>
#include <vector>

/// All layers of a project's configuration, from the disk and from outside.
namespace autoexec::config {

/// Where to look.
struct Places {
    std::filesystem::path own_file;      ///< `auto_execution_config.yaml`
    std::filesystem::path project_file;  ///< `config.yaml`
    std::filesystem::path user_file;     ///< Empty: there is none.
};

/// What was given besides the files.
struct ConfigInputs {
    struct Override {
        std::string key;
        SettingValue value;
        std::string option;
    };

    std::vector<std::string> environment;
    std::vector<Override> overrides;
    boost::json::object metadata;
};

/// What came of all layers.
struct Resolved {
    AutoExecutionConfig config;
    std::map<std::string, ConfigOrigin, std::less<>> origins;  ///< Of what is no default.
    std::vector<Diagnostic> diagnostics;
    std::vector<FileStamp> stamps;  ///< Of the files, as they were read.

    [[nodiscard]] bool failed() const;
};

/// Blocks.
Resolved resolve(const SettingsTable& table, const Places& places, const ConfigInputs& given);

/// What the files are now.
std::vector<FileStamp> stamps_of(const Places& places);

/// `$XDG_CONFIG_HOME/autoexec/config.yaml`, else below `$HOME/.config`; empty without either.
std::filesystem::path user_file(const std::vector<std::string>& environment);

/// Why a folder of ours is not believed: others can write to it. Empty if it is, or is not there.
std::string folder_problem(const std::filesystem::path& folder);

/// A file as it is now; one that can't be read or that others can write gives an error, one that is
/// not there nothing.
FoundFile read_config_file(const std::filesystem::path& path, bool follow_links);
/// Replaces it, mode 0600, whole or not at all.
error_code write_config_file(const std::filesystem::path& path, std::string_view text);

/// What is wrong between settings that are right each for itself, and with values out of range.
struct Contradiction {
    std::vector<std::string> keys;  ///< Of the settings to change, the likelier one first.
    std::string message;
    std::string hint;
    std::string unless_default = {};  ///< A key: no contradiction where nobody has set it.
};
std::vector<Contradiction> contradictions(const AutoExecutionConfig& config);
std::vector<Contradiction> out_of_range(const SettingsTable& table,
                                        const AutoExecutionConfig& config);

}  // namespace autoexec::config
