#include "config/sources.hpp"

#include "files/safe_files.hpp"
#include "protocol/layout.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

namespace autoexec::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t file_limit = 1024 * 1024;

/// One file, with the report that refers to its text.
struct Source {
    Source(const fs::path& path, std::string content)
        : text(std::move(content)), report(path.string(), text)
    {}
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    std::string text;
    yaml::Report report;
};

class Resolver {
public:
    Resolver(const SettingsTable& table, const ConfigPaths& paths, const ConfigInputs& given)
        : table_(table), paths_(paths), given_(given)
    {
        result_.config = table.defaults();
        result_.stamps = stamps_of(paths);  // before reading, so that no change is missed
    }

    Resolved run()
    {
        check_folders();
        read_file(ConfigLayer::user_file, paths_.user_file);
        read_file(ConfigLayer::project_config, paths_.project_file);
        read_file(ConfigLayer::auto_execution, paths_.own_file);
        take(read_metadata(table_, given_.metadata, values_));
        take(read_environment(table_, given_.environment, values_));
        for (const auto& given : given_.overrides)
            values_.push_back({given.key, given.value, {ConfigLayer::command_line, given.option}});
        apply();
        if (!result_.failed()) check_together();
        return std::move(result_);
    }

private:
    // A user who can write to one of these can replace the files in it. Other folders are not
    // autoexec's to judge.
    void check_folders()
    {
        std::set<fs::path> folders;
        for (const auto* const file : {&paths_.project_file, &paths_.own_file})
            if (file->parent_path().filename() == layout::records)
                folders.insert(file->parent_path());
        if (!paths_.user_file.empty()) folders.insert(paths_.user_file.parent_path());
        for (const auto& folder : folders) {
            auto problem = folder_problem(folder);
            if (problem.empty()) continue;
            auto& source = sources_.emplace_back(folder, std::string());
            source.report.error({}, "The folder cannot be used: " + std::move(problem));
            take(source.report.take_errors());
        }
    }

    void read_file(ConfigLayer layer, const fs::path& path)
    {
        auto found = find_file(layer, path);
        if (found.state == FoundFile::State::absent) return;
        auto& source = sources_.emplace_back(path, std::move(found.text));
        if (found.state != FoundFile::State::present)
            source.report.error(
                {}, (found.reason ? "The file cannot be used: " : "The file cannot be read: ") +
                        found.problem);
        else
            read_text(layer, source, path);
        auto problems = source.report.take_errors();
        for (auto& warning : source.report.take_warnings()) problems.push_back(std::move(warning));
        std::stable_sort(problems.begin(), problems.end(), [](const auto& a, const auto& b) {
            return std::pair(a.line, a.column) < std::pair(b.line, b.column);
        });
        take(std::move(problems));
    }

    [[nodiscard]] FoundFile find_file(ConfigLayer layer, const fs::path& path) const
    {
        FoundFile found;
        if (given_.draft && given_.draft->path == path) {
            found.state = FoundFile::State::present;
            found.text = given_.draft->text;
        } else if (!path.empty()) {
            // The user's own file may be a link, as dotfile managers make them.
            found = read_config_file(path, layer == ConfigLayer::user_file);
        }
        return found;
    }

    void read_text(ConfigLayer layer, Source& source, const fs::path& path)
    {
        const LayerReading reading{table_, {layer, path.string()}, source.report, values_};
        if (layer == ConfigLayer::project_config)
            read_project_file(reading, source.text);
        else
            read_own_file(reading, source.text);
    }

    void take(std::vector<Diagnostic> problems)
    {
        for (auto& problem : problems) result_.diagnostics.push_back(std::move(problem));
    }

    void apply()
    {
        for (auto& value : values_) {
            const auto& setting = *table_.find(value.key);
            if (is_of_project(value.origin.layer) && setting.not_for_projects) {
                warn_of_project(setting, value);
                continue;
            }
            if (value.origin.layer == ConfigLayer::workflow && !may_set(setting, value.value)) {
                warn_of_workflow(setting, value);
                continue;
            }
            setting.set(result_.config, value.value);
            result_.origins.insert_or_assign(value.key, std::move(value.origin));
        }
    }

    // Zero is no limit.
    [[nodiscard]] bool may_set(const Setting& setting, const SettingValue& value) const
    {
        if (setting.workflow_may != WorkflowMay::lower)
            return setting.workflow_may == WorkflowMay::set;
        const auto number = [](const SettingValue& v) {
            const auto* const whole = std::get_if<std::int64_t>(&v);
            return whole ? static_cast<double>(*whole) : std::get<double>(v);
        };
        const auto limit = number(value);
        const auto now = number(setting.get(result_.config));
        return limit == now || (limit != 0 && (now == 0 || limit < now));
    }

    void warn_of_workflow(const Setting& setting, const LayerValue& value)
    {
        warn_of_ignored(setting, value,
                        setting.workflow_may == WorkflowMay::lower
                            ? "A workflow cannot raise or remove"
                            : "A workflow cannot set",
                        "Set it in the configuration of the project, or on the command line.");
    }

    void warn_of_project(const Setting& setting, const LayerValue& value)
    {
        warn_of_ignored(
            setting, value, "A project cannot set",
            fmt::format("Set it in {}, or in the variable {}.",
                        paths_.user_file.empty() ? "the user's file" : paths_.user_file.string(),
                        variable_of(setting.key)));
    }

    void warn_of_ignored(const Setting& setting, const LayerValue& value, std::string_view cannot,
                         std::string hint)
    {
        const auto origin = result_.origins.find(setting.key);
        yaml::Report report(value.origin.source, {});
        report.warning({value.origin.line, value.origin.column},
                       fmt::format("{} {}: its value is ignored, {} applies", cannot, setting.key,
                                   origin == result_.origins.end() ? "the default"
                                                                   : to_string(origin->second)),
                       std::move(hint));
        take(report.take_warnings());
    }

    void check_together()
    {
        for (auto& [keys, message, hint, unless_default] : contradictions(result_.config)) {
            if (!unless_default.empty() && !result_.origins.contains(unless_default)) continue;
            const auto key = std::find_if(keys.begin(), keys.end(), [&](const std::string& k) {
                return result_.origins.contains(k);
            });
            if (key == keys.end()) continue;  // defaults never contradict each other
            report_at(result_.origins.find(*key)->second, std::move(message), std::move(hint));
        }
    }

    void report_at(const ConfigOrigin& origin, std::string message, std::string hint)
    {
        const auto source = std::find_if(sources_.begin(), sources_.end(), [&](const Source& s) {
            return s.report.path() == origin.source;
        });
        yaml::Report outside(origin.source, {});
        auto& report = source == sources_.end() ? outside : source->report;
        report.error({origin.line, origin.column}, std::move(message), std::move(hint));
        take(report.take_errors());
    }

    const SettingsTable& table_;
    const ConfigPaths& paths_;
    const ConfigInputs& given_;
    std::list<Source> sources_;
    std::vector<LayerValue> values_;  // weakest first
    Resolved result_;
};

// The trusted part of a path, and the part that a repository can contain: there no link is
// followed.
std::pair<fs::path, fs::path> split(const fs::path& path)
{
    const auto folder = path.parent_path();
    if (folder.filename() != layout::records) return {folder, path.filename()};
    return {folder.parent_path(), folder.filename() / path.filename()};
}

}  // namespace

bool Resolved::failed() const
{
    return std::any_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& d) {
        return d.severity == Diagnostic::Severity::error;
    });
}

Resolved resolve(const SettingsTable& table, const ConfigPaths& paths, const ConfigInputs& given)
{
    return Resolver(table, paths, given).run();
}

FoundFile read_config_file(const fs::path& path, bool follow_links)
{
    std::error_code ignored;
    const auto real = follow_links ? fs::weakly_canonical(path, ignored) : fs::absolute(path);
    const auto [base, below] = split(real);
    const files::UniqueFd folder(::open(base.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    FoundFile found;
    if (!folder && (errno == ENOENT || errno == ENOTDIR)) return found;
    struct stat info {};
    if (!folder || ::fstat(folder.get(), &info) != 0) {
        found.state = FoundFile::State::unreadable;
        found.problem = files::last_error().message();
        return found;
    }
    return files::read_trusted(folder.get(), below.string(), file_limit,
                               {path.string(), info.st_uid});
}

std::string folder_problem(const fs::path& folder)
{
    const auto project = folder.parent_path();
    const files::UniqueFd fd(::open(project.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return {};
    return files::distrust_folder(fd.get(), folder.filename().string(),
                                  {folder.string(), info.st_uid});
}

error_code write_config_file(const fs::path& path, std::string_view text)
{
    const auto [base, below] = split(fs::absolute(path));
    error_code ec;
    const auto trusted = files::make_folders(base, ec);
    if (ec) return ec;
    const auto folder = files::make_folders(trusted.get(), below.parent_path(), ec);
    if (ec) return ec;
    const auto name = below.filename().string();
    struct stat old {};
    const bool exists = ::fstatat(folder.get(), name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
    return files::replace_file(folder.get(), name, text,
                               exists && S_ISREG(old.st_mode) ? old.st_mode & 0777U : 0600,
                               Durability::power);
}

std::vector<FileStamp> stamps_of(const ConfigPaths& paths)
{
    std::vector<FileStamp> stamps;
    for (const auto* const path : {&paths.user_file, &paths.project_file, &paths.own_file}) {
        struct stat info {};
        const bool there =
            !path->empty() && (path == &paths.user_file ? ::stat(path->c_str(), &info)
                                                        : ::lstat(path->c_str(), &info)) == 0;
        stamps.push_back(there ? files::stamp_of(info) : FileStamp{});
    }
    return stamps;
}

fs::path user_file(const std::vector<std::string>& environment)
{
    auto base = fs::path(find_variable(environment, "XDG_CONFIG_HOME").value_or(""));
    if (!base.is_absolute()) {  // as the XDG specification says: a relative one is ignored
        const auto home = fs::path(find_variable(environment, "HOME").value_or(""));
        if (!home.is_absolute()) return {};
        base = home / ".config";
    }
    return base / "autoexec" / "config.yaml";
}

std::vector<Contradiction> contradictions(const AutoExecutionConfig& config)
{
    std::vector<Contradiction> found;
    using Seconds = std::chrono::duration<double>;
    const auto& executor = config.executor;
    if (executor.timeout < executor.polling_interval)
        found.push_back({{"polling.timeout_seconds", "polling.interval_seconds"},
                         "polling.timeout_seconds must be >= polling.interval_seconds",
                         fmt::format("The time-out is {} s, the interval {} s.",
                                     Seconds(executor.timeout).count(),
                                     Seconds(executor.polling_interval).count())});
    if (config.enabled && !config.polling_enabled)
        found.push_back({{"polling.enabled", "enabled"},
                         "polling must be enabled when auto_execution is enabled",
                         "Enable both or disable both.",
                         "enabled"});
    return found;
}

std::vector<Contradiction> out_of_range(const SettingsTable& table,
                                        const AutoExecutionConfig& config)
{
    std::vector<Contradiction> found;
    for (const auto& setting : table.settings())
        if (auto message = setting.complaint(setting.get(config)); !message.empty())
            found.push_back({{setting.key}, std::move(message), {}});
    return found;
}

}  // namespace autoexec::config
