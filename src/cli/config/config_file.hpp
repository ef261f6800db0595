#pragma once

#include "cli/cli.hpp"
#include "config/settings.hpp"
#include "yaml/report.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace autoexec::cli {

/// Of subcommands that change a file of the configuration.
struct ConfigFileOptions : CommonOptions {
    bool user = false;  ///< The user's file, not the project's.
};

void add_config_file(CLI::App& app, ConfigFileOptions& options);

/// The argument that names a setting.
void add_setting(CLI::App& app, std::string& key);

/// A file of the configuration that is changed by a person.
class ConfigFile {
public:
    /// Reads it. Throws `Failure` if it cannot be used.
    explicit ConfigFile(const ConfigFileOptions& options);

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    /// Empty if there is no such file.
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    [[nodiscard]] bool is_of_user() const noexcept { return is_of_user_; }
    [[nodiscard]] const config::SettingsTable& table() const noexcept { return table_; }

    /// The setting that a person named. Throws `Failure` if there is none, or this file cannot set
    /// it.
    [[nodiscard]] const config::Setting& find(std::string_view key) const;

    /// Checks the new text together with the other files, and prints what is wrong with it. False:
    /// it cannot be used.
    [[nodiscard]] bool check(const std::string& text) const;

    /// Makes the new text; nothing, and errors in the report, if that is impossible.
    using Change = std::function<std::optional<std::string>(yaml::Report& report)>;
    /// Replaces the file by what `make_text` returns, if it is valid. Throws `Failure` if it is
    /// not, and as `write`.
    void change(const Change& make_text) const;

    /// Replaces the file. Throws `Failure` if it has changed since it was read.
    void write(const std::string& text) const;

private:
    config::SettingsTable table_;
    std::filesystem::path root_;
    std::filesystem::path path_;
    std::string text_;
    bool is_of_user_;
};

}  // namespace autoexec::cli
