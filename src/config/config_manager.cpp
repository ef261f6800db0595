#include "autoexec/config.hpp"

#include "config/describe.hpp"
#include "config/layer.hpp"
#include "config/migration.hpp"
#include "config/settings.hpp"
#include "config/sources.hpp"
#include "protocol/layout.hpp"
#include "text/text.hpp"
#include "yaml/yaml_edit.hpp"

#include <boost/json/object.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace autoexec::inline v1 {
namespace {

namespace fs = std::filesystem;

std::string list_of(const std::vector<Diagnostic>& diagnostics)
{
    std::string text = "Configuration validation failed:";
    for (const auto& d : diagnostics) {
        if (d.severity != Diagnostic::Severity::error) continue;
        const auto place = d.line > 0 ? fmt::format("{}:{}", d.path, d.line) : d.path;
        text += fmt::format("\n  - {}{}{}", place, place.empty() ? "" : ": ", d.message);
    }
    return text;
}

yaml::YamlNode scalar_of(const SettingValue& value)
{
    if (const auto* const text = std::get_if<std::string>(&value))
        return yaml::make_scalar(*text, false);
    return yaml::make_scalar(to_string(value), true);
}

}  // namespace

struct InvalidConfiguration::Content {
    std::string text;
    std::vector<Diagnostic> diagnostics;
};

InvalidConfiguration::InvalidConfiguration(std::vector<Diagnostic> diagnostics)
    : system_error(make_error_code(errc::invalid_configuration))
{
    auto text = list_of(diagnostics);
    content_ = std::make_shared<const Content>(Content{std::move(text), std::move(diagnostics)});
}

const std::vector<Diagnostic>& InvalidConfiguration::diagnostics() const noexcept
{
    return content_->diagnostics;
}

const char* InvalidConfiguration::what() const noexcept
{
    return content_->text.c_str();
}

struct AutoExecutionConfigManager::Impl {
    Impl(fs::path config_path, fs::path root)
    {
        project_root = fs::absolute(root.empty() ? fs::current_path() : root).lexically_normal();
        paths.own_file = config_path.empty() ? project_root / layout::configuration
                                             : fs::absolute(config_path).lexically_normal();
        paths.project_file = project_root / layout::project_configuration;
        std::vector<std::string> environment;
        for (char** next = environ; next != nullptr && *next != nullptr; ++next)
            environment.emplace_back(*next);
        set_environment(std::move(environment));
    }

    void set_environment(std::vector<std::string> environment)
    {
        paths.user_file = config::user_file(environment);
        given.environment = std::move(environment);
        known = false;
    }

    // The loaded values stay if the new ones are invalid.
    void read(bool must_be_valid)
    {
        auto resolved = config::resolve(table, paths, given);
        known = true;
        valid = !resolved.failed();
        stamps = resolved.stamps;
        diagnostics = resolved.diagnostics;
        if (valid || !must_be_valid) current = std::move(resolved);
        if (!valid && must_be_valid) throw InvalidConfiguration(diagnostics);
    }

    void check(const AutoExecutionConfig& wanted) const
    {
        auto found = config::out_of_range(table, wanted);
        if (found.empty()) found = config::contradictions(wanted);
        yaml::Report report(paths.own_file.string(), {});
        for (auto& contradiction : found) report.error({}, std::move(contradiction.message));
        if (report.failed()) throw InvalidConfiguration(report.take_errors());
    }

    void require_project_may_set(const config::Setting& setting) const
    {
        if (!setting.not_for_projects) return;
        yaml::Report report(paths.own_file.string(), {});
        report.error({}, fmt::format("A project cannot set {}", setting.key));
        throw InvalidConfiguration(report.take_errors());
    }

    [[nodiscard]] std::string file_text() const
    {
        auto found = config::read_config_file(paths.own_file, false);
        if (found.state == FoundFile::State::present) return std::move(found.text);
        if (found.state == FoundFile::State::absent) return {};
        yaml::Report report(paths.own_file.string(), {});
        report.error({}, "The file cannot be read: " + found.problem);
        throw InvalidConfiguration(report.take_errors());
    }

    void write(std::string_view text)
    {
        if (const auto ec = config::write_config_file(paths.own_file, text))
            throw system_error(ec, paths.own_file.string());
        read(false);
    }

    std::string edited(std::string text, std::string_view key, const SettingValue& value) const
    {
        const auto path = config::path_in_file(key);
        if (const auto& former = table.find(key)->former; !former.empty())
            text = yaml::rename_in_yaml(text, config::path_in_file(former), path).value_or(text);
        auto changed = yaml::set_in_yaml(text, path, scalar_of(value));
        if (changed) return *std::move(changed);
        yaml::Report report(paths.own_file.string(), text);
        (void)yaml::parse_yaml(text, report);
        if (!report.failed())
            report.error({}, fmt::format("{} cannot be set in this file", key),
                         "A value that is not a mapping is in the way, or comments would be lost.");
        throw InvalidConfiguration(report.take_errors());
    }

    fs::path project_root;
    config::SettingsTable table;
    config::ConfigPaths paths;
    config::ConfigInputs given;

    config::Resolved current;  // the last valid one
    bool known = false;        // `current` is of the present environment and overrides
    bool valid = false;        // of the last reading
    std::vector<FileStamp> stamps;
    std::vector<Diagnostic> diagnostics;
};

AutoExecutionConfigManager::AutoExecutionConfigManager(fs::path config_path, fs::path project_root)
    : impl_(std::make_unique<Impl>(std::move(config_path), std::move(project_root)))
{}

AutoExecutionConfigManager::~AutoExecutionConfigManager() = default;
AutoExecutionConfigManager::AutoExecutionConfigManager(AutoExecutionConfigManager&&) noexcept =
    default;
AutoExecutionConfigManager& AutoExecutionConfigManager::operator=(
    AutoExecutionConfigManager&&) noexcept = default;

void AutoExecutionConfigManager::register_flag(std::string_view name, bool value,
                                               std::string documentation)
{
    impl_->table.add_flag(name, value, std::move(documentation));
    impl_->known = false;
}

void AutoExecutionConfigManager::register_setting(std::string_view name, SettingValue value,
                                                  std::string documentation)
{
    impl_->table.add_extension(name, std::move(value), std::move(documentation));
    impl_->known = false;
}

void AutoExecutionConfigManager::set_environment(std::vector<std::string> environment)
{
    impl_->set_environment(std::move(environment));
}

void AutoExecutionConfigManager::override_setting(std::string_view key, SettingValue value,
                                                  std::string option)
{
    const auto* const setting = impl_->table.find(key);
    if (setting == nullptr)
        throw system_error(errc::invalid_options, fmt::format("unknown setting '{}'", key));
    if (setting->get(impl_->table.defaults()).index() != value.index())
        throw system_error(errc::invalid_options,
                           fmt::format("{} must be {}", key, setting->type_name()));
    if (auto complaint = setting->complaint(value); !complaint.empty())
        throw system_error(errc::invalid_options, complaint);
    impl_->given.overrides.push_back({std::string(key), std::move(value), std::move(option)});
    impl_->known = false;
}

void AutoExecutionConfigManager::set_workflow_metadata(boost::json::object metadata)
{
    impl_->given.metadata = std::move(metadata);
    impl_->known = false;
}

AutoExecutionConfig AutoExecutionConfigManager::load(bool validate)
{
    const bool again = !impl_->known || (validate && !impl_->valid) || changed_on_disk();
    if (again) impl_->read(validate);
    return impl_->current.config;
}

AutoExecutionConfig AutoExecutionConfigManager::reload()
{
    impl_->read(true);
    return impl_->current.config;
}

bool AutoExecutionConfigManager::changed_on_disk() const
{
    return config::stamps_of(impl_->paths) != impl_->stamps;
}

void AutoExecutionConfigManager::validate(const std::optional<AutoExecutionConfig>& config)
{
    if (config) return impl_->check(*config);
    const auto resolved = config::resolve(impl_->table, impl_->paths, impl_->given);
    if (resolved.failed()) throw InvalidConfiguration(resolved.diagnostics);
}

void AutoExecutionConfigManager::save(const std::optional<AutoExecutionConfig>& config)
{
    const auto before = load(false);
    const auto& wanted = config ? *config : before;
    impl_->check(wanted);
    auto text = impl_->edited(impl_->file_text(), "version", std::string(config::current_version));
    for (const auto& setting : impl_->table.settings()) {
        const auto value = setting.get(wanted);
        if (value == setting.get(before)) continue;
        impl_->require_project_may_set(setting);
        text = impl_->edited(std::move(text), setting.key, value);
    }
    impl_->write(text);
}

std::string AutoExecutionConfigManager::migrate(bool dry_run)
{
    const auto text = impl_->file_text();
    yaml::Report report(impl_->paths.own_file.string(), text);
    const auto migrated = config::migrate(text, report);
    if (!migrated) throw InvalidConfiguration(report.take_errors());
    auto changes = config::difference(text, *migrated);
    if (!changes.empty() && !dry_run) impl_->write(*migrated);
    return changes;
}

bool AutoExecutionConfigManager::get_feature_flag(std::string_view name)
{
    return get_feature_flag(name, {});
}

bool AutoExecutionConfigManager::get_feature_flag(std::string_view name,
                                                  const boost::json::object& workflow_override)
{
    const boost::json::object* object = &workflow_override;
    for (const std::string_view key : {config::own_section, std::string_view("features")}) {
        const auto* const next = object->if_contains(key);
        object = next != nullptr ? next->if_object() : nullptr;
        if (object == nullptr) break;
    }
    const auto* const flag = object != nullptr ? object->if_contains(name) : nullptr;
    if (flag != nullptr && flag->is_bool()) return flag->get_bool();
    const auto* const setting = impl_->table.find(fmt::format("features.{}", name));
    return setting != nullptr && std::get<bool>(setting->get(load(false)));
}

const std::vector<Diagnostic>& AutoExecutionConfigManager::diagnostics() const noexcept
{
    return impl_->diagnostics;
}

std::vector<EffectiveSetting> AutoExecutionConfigManager::settings() const
{
    std::vector<EffectiveSetting> all;
    const auto& config = impl_->known ? impl_->current.config : impl_->table.defaults();
    for (const auto& setting : impl_->table.settings())
        all.push_back({setting.key, setting.get(config), origin(setting.key)});
    return all;
}

ConfigOrigin AutoExecutionConfigManager::origin(std::string_view key) const
{
    const auto found = impl_->current.origins.find(key);
    return found == impl_->current.origins.end() ? ConfigOrigin{} : found->second;
}

std::string AutoExecutionConfigManager::reference() const
{
    return config::reference(impl_->table);
}

boost::json::object AutoExecutionConfigManager::schema() const
{
    return config::json_schema(impl_->table);
}

const fs::path& AutoExecutionConfigManager::config_path() const noexcept
{
    return impl_->paths.own_file;
}

const fs::path& AutoExecutionConfigManager::project_root() const noexcept
{
    return impl_->project_root;
}

}  // namespace autoexec::inline v1
