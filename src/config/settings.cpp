#include "config/settings.hpp"

#include "config/prices.hpp"
#include "handoff/file_handoff.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <utility>

namespace autoexec {
inline namespace v1 {

std::string to_string(const SettingValue& value)
{
    if (const auto* const flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* const whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
    if (const auto* const real = std::get_if<double>(&value)) return text::format_double(*real);
    return std::get<std::string>(value);
}

std::vector<std::string> changed_settings(const AutoExecutionConfig& before,
                                          const AutoExecutionConfig& after)
{
    std::vector<std::string> keys;
    for (const auto& setting : config::built_in_settings())
        if (setting.get(before) != setting.get(after)) keys.push_back(setting.key);
    const auto compare = [&keys](std::string_view section, const auto& old, const auto& now) {
        for (const auto& [name, value] : now) {
            const auto found = old.find(name);
            if (found == old.end() || found->second != value)
                keys.push_back(fmt::format("{}.{}", section, name));
        }
    };
    compare("features", before.flags, after.flags);
    compare("extensions", before.extensions, after.extensions);
    return keys;
}

bool takes_effect_at_once(std::string_view key)
{
    for (const auto& setting : config::built_in_settings())
        if (setting.key == key) return setting.effect == config::Effect::next_execution;
    return true;  // an application decides when it reads its own settings
}

}  // namespace v1

namespace config {
namespace {

using Config = AutoExecutionConfig;

// Words of letters, digits and `_`, joined by dots.
bool is_plain_name(std::string_view name, bool dots)
{
    bool word = false;
    for (const char c : name) {
        const bool letter = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
        if (!letter && !(dots && c == '.' && word)) return false;
        word = letter;
    }
    return word && name.size() <= 64;
}

SettingType type_of(const SettingValue& value)
{
    static constexpr std::array types{SettingType::boolean, SettingType::integer,
                                      SettingType::number, SettingType::text};
    static_assert(types.size() == std::variant_size_v<SettingValue>);
    return types[value.index()];
}

}  // namespace

SettingsTable::SettingsTable() : settings_(built_in_settings()) {}

// A setting of the application, in the map `Values` of a configuration.
template <auto Values, class T>
void SettingsTable::add(std::string key, T value, std::string documentation)
{
    const auto name = key.substr(key.find('.') + 1);
    if (!is_plain_name(name, !std::is_same_v<T, bool>))
        throw system_error(errc::invalid_options, fmt::format("invalid name '{}'", name));
    if (find(key) != nullptr || is_section(key) ||
        std::ranges::any_of(settings_,
                            [&](const Setting& s) { return key.starts_with(s.key + "."); }))
        throw system_error(errc::invalid_options,
                           fmt::format("the name '{}' is already in use", key));
    Setting setting;
    setting.key = key;
    setting.type = type_of(value);
    setting.documentation = std::move(documentation);
    setting.effect = Effect::next_execution;
    setting.get = [name, value](const Config& c) -> SettingValue {
        const auto found = (c.*Values).find(name);
        return found == (c.*Values).end() ? value : found->second;
    };
    setting.set = [name](Config& c, const SettingValue& v) {
        if constexpr (std::is_same_v<T, bool>)
            (c.*Values)[name] = std::get<bool>(v);
        else
            (c.*Values)[name] = v;
    };
    (defaults_.*Values).emplace(name, std::move(value));
    // Sections stay together: insert after the last setting of its section.
    const auto section = key.substr(0, key.find('.') + 1);
    const auto last = std::find_if(settings_.rbegin(), settings_.rend(),
                                   [&](const Setting& s) { return s.key.starts_with(section); });
    settings_.insert(last == settings_.rend() ? settings_.end() : last.base(), std::move(setting));
}

void SettingsTable::add_flag(std::string_view name, bool value, std::string documentation)
{
    add<&Config::flags>(fmt::format("features.{}", name), value, std::move(documentation));
}

void SettingsTable::add_extension(std::string_view name, SettingValue value,
                                  std::string documentation)
{
    add<&Config::extensions>(fmt::format("extensions.{}", name), std::move(value),
                             std::move(documentation));
}

const Setting* SettingsTable::find(std::string_view key) const
{
    const auto found = std::ranges::find(settings_, key, &Setting::key);
    return found == settings_.end() ? nullptr : &*found;
}

const Setting* SettingsTable::find_former(std::string_view key) const
{
    const auto found = std::ranges::find(settings_, key, &Setting::former);
    return found == settings_.end() || key.empty() ? nullptr : &*found;
}

bool SettingsTable::is_section(std::string_view key) const
{
    return !key.empty() && !names_in(key).empty();
}

std::vector<std::string_view> SettingsTable::names_in(std::string_view section) const
{
    std::vector<std::string_view> names;
    const auto prefix = section.empty() ? std::string() : fmt::format("{}.", section);
    for (const auto& s : settings_) {
        if (!s.key.starts_with(prefix)) continue;
        auto rest = std::string_view(s.key).substr(prefix.size());
        rest = rest.substr(0, rest.find('.'));
        if (std::ranges::find(names, rest) == names.end()) names.push_back(rest);
    }
    return names;
}

std::string_view section_of(std::string_view key)
{
    const auto dot = key.rfind('.');
    return dot == key.npos ? std::string_view{} : key.substr(0, dot);
}

std::string_view name_of(std::string_view key)
{
    return key.substr(key.rfind('.') + 1);  // npos + 1 is 0
}

std::string variable_of(std::string_view key)
{
    std::string name = "AUTOEXEC_";
    for (const char c : key)
        name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
}

std::string_view Setting::type_name() const
{
    switch (type) {
        case SettingType::boolean:
            return "true or false";
        case SettingType::integer:
            return "a whole number";
        case SettingType::number:
            return "a number";
        case SettingType::duration:
            return "a duration";
        case SettingType::prices:
            return "a table of models";
        case SettingType::choice:
        case SettingType::text:
        case SettingType::file_name:
        case SettingType::version:
            break;
    }
    return "text";
}

std::string Setting::allowed() const
{
    if (type == SettingType::choice)
        return fmt::format("{} or {}", fmt::join(choices.begin(), std::prev(choices.end()), ", "),
                           choices.back());
    if (type == SettingType::file_name) return "a plain file name";
    if (type == SettingType::duration) return "a duration: 90s, 12h, 7d, 2w";
    if (type == SettingType::prices)
        return "for each model `input` and `output`, also `cache_read` and `cache_write`";
    if (type == SettingType::version) return fmt::format("\"{}\"", current_version);
    if (range.least == -std::numeric_limits<double>::infinity()) return std::string(type_name());
    if (range.above_least) return fmt::format("more than {}, at most {}", range.least, range.most);
    return fmt::format("{} to {}", range.least, range.most);
}

std::string Setting::complaint(const SettingValue& value) const
{
    if (const auto* const word = std::get_if<std::string>(&value)) {
        if (type == SettingType::choice &&
            std::find(choices.begin(), choices.end(), *word) == choices.end())
            return fmt::format("{} must be {}", key, allowed());
        if (type == SettingType::file_name && !handoff::is_valid_status_name(*word))
            return fmt::format("{} must be a plain name that no other control file has", key);
        if (type == SettingType::duration && !text::parse_duration(*word))
            return fmt::format("{} must be a duration", key);
        if (type == SettingType::prices && !parse_prices(*word))
            return fmt::format("{} must have the prices of each model, from 0 to 1000000", key);
        return {};
    }
    const auto* const whole = std::get_if<std::int64_t>(&value);
    const auto* const real = std::get_if<double>(&value);
    if (whole == nullptr && real == nullptr) return {};
    const double number = whole != nullptr ? static_cast<double>(*whole) : *real;
    // Negated comparisons refuse NaN as well.
    if (range.above_least ? !(number > range.least) : !(number >= range.least))
        return fmt::format("{} must be {} {}", key, range.above_least ? ">" : ">=", range.least);
    if (!(number <= range.most)) return fmt::format("{} must be <= {}", key, range.most);
    return {};
}

}  // namespace config
}  // namespace autoexec
