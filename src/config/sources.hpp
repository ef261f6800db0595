#pragma once

#include "autoexec/file.hpp"
#include "config/layer.hpp"

#include <filesystem>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// Resolves all layers of a project's configuration.
namespace autoexec::config {

/// The files of the layers.
struct ConfigPaths {
    std::filesystem::path own_file;      ///< `auto_execution_config.yaml`
    std::filesystem::path project_file;  ///< `config.yaml`
    std::filesystem::path user_file;     ///< Empty: none.
};

/// The layers that are not files.
struct ConfigInputs {
    struct Override {
        std::string key;
        SettingValue value;
        std::string option;
    };

    /// Is read instead of the file with this path.
    struct Draft {
        std::filesystem::path path;
        std::string text;
    };

    std::vector<std::string> environment;
    std::vector<Override> overrides;
    boost::json::object metadata;
    std::optional<Draft> draft;
};

/// The result of all layers.
struct Resolved {
    AutoExecutionConfig config;
    std::map<std::string, ConfigOrigin, std::less<>> origins;  ///< Of values other than defaults.
    std::vector<Diagnostic> diagnostics;
    std::vector<FileStamp> stamps;  ///< Of the files when they were read.

    [[nodiscard]] bool failed() const;
};

/// Blocks.
Resolved resolve(const SettingsTable& table, const ConfigPaths& paths, const ConfigInputs& given);

/// The current stamps of the files.
std::vector<FileStamp> stamps_of(const ConfigPaths& paths);

/// `$XDG_CONFIG_HOME/autoexec/config.yaml`, else below `$HOME/.config`; empty without either.
std::filesystem::path user_file(const std::vector<std::string>& environment);

/// Why a folder is not trusted: other users can write to it. Empty if it is, or does not exist.
std::string folder_problem(const std::filesystem::path& folder);

/// Reads a file. It is an error if it cannot be read or other users can write it, but not if it
/// does not exist.
FoundFile read_config_file(const std::filesystem::path& path, bool follow_links);
/// Replaces it atomically. A new file has mode 0600; an existing one keeps its mode.
error_code write_config_file(const std::filesystem::path& path, std::string_view text);

/// A conflict between settings that are valid alone, or a value out of range.
struct Contradiction {
    std::vector<std::string> keys;  ///< Of the settings to change, the more likely one first.
    std::string message;
    std::string hint;
    std::string unless_default = {};  ///< A key: no contradiction if it has its default.
};
std::vector<Contradiction> contradictions(const AutoExecutionConfig& config);
std::vector<Contradiction> out_of_range(const SettingsTable& table,
                                        const AutoExecutionConfig& config);

}  // namespace autoexec::config
