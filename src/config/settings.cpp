#include "config/settings.hpp"

#include "config/renames.hpp"
#include "handoff/file_handoff.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <utility>

namespace autoexec::config {
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

void SettingsTable::add(Setting setting)
{
    const auto& key = setting.key;
    const bool taken = find(key) != nullptr || is_section(key) ||
                       std::any_of(settings_.begin(), settings_.end(),
                                   [&](const Setting& s) { return key.starts_with(s.key + "."); });
    if (taken)
        throw system_error(errc::invalid_options,
                           fmt::format("the name '{}' is already in use", key));
    // Sections stay together: insert after the last setting of its section.
    const auto section = key.substr(0, key.find('.') + 1);
    const auto last = std::find_if(settings_.rbegin(), settings_.rend(),
                                   [&](const Setting& s) { return s.key.starts_with(section); });
    settings_.insert(last == settings_.rend() ? settings_.end() : last.base(), std::move(setting));
}

void SettingsTable::add_flag(std::string_view name, bool value, std::string documentation)
{
    if (!is_plain_name(name, false))
        throw system_error(errc::invalid_options, fmt::format("invalid name '{}'", name));
    Setting s;
    s.key = fmt::format("features.{}", name);
    s.type = SettingType::boolean;
    s.documentation = std::move(documentation);
    s.effect = Effect::next_execution;
    s.get = [n = std::string(name), value](const Config& c) -> SettingValue {
        const auto found = c.flags.find(n);
        return found == c.flags.end() ? value : found->second;
    };
    s.set = [n = std::string(name)](Config& c, const SettingValue& v) {
        c.flags[n] = std::get<bool>(v);
    };
    add(std::move(s));
    defaults_.flags.emplace(name, value);
}

void SettingsTable::add_extension(std::string_view name, SettingValue value,
                                  std::string documentation)
{
    if (!is_plain_name(name, true))
        throw system_error(errc::invalid_options, fmt::format("invalid name '{}'", name));
    Setting s;
    s.key = fmt::format("extensions.{}", name);
    s.type = type_of(value);
    s.documentation = std::move(documentation);
    s.effect = Effect::next_execution;
    s.get = [n = std::string(name), value](const Config& c) -> SettingValue {
        const auto found = c.extensions.find(n);
        return found == c.extensions.end() ? value : found->second;
    };
    s.set = [n = std::string(name)](Config& c, const SettingValue& v) {
        c.extensions.insert_or_assign(n, v);
    };
    add(std::move(s));
    defaults_.extensions.emplace(name, std::move(value));
}

const Setting* SettingsTable::find(std::string_view key) const
{
    const auto found = std::find_if(settings_.begin(), settings_.end(),
                                    [&](const Setting& s) { return s.key == key; });
    return found == settings_.end() ? nullptr : &*found;
}

bool SettingsTable::is_section(std::string_view key) const
{
    return std::any_of(settings_.begin(), settings_.end(), [&](const Setting& s) {
        return s.key.size() > key.size() && s.key.starts_with(key) && s.key[key.size()] == '.';
    });
}

std::vector<std::string_view> SettingsTable::names_in(std::string_view section) const
{
    std::vector<std::string_view> names;
    for (const auto& s : settings_) {
        std::string_view rest = s.key;
        if (!section.empty()) {
            if (!rest.starts_with(section) || rest.size() <= section.size() ||
                rest[section.size()] != '.')
                continue;
            rest.remove_prefix(section.size() + 1);
        }
        rest = rest.substr(0, rest.find('.'));
        if (std::find(names.begin(), names.end(), rest) == names.end()) names.push_back(rest);
    }
    return names;
}

std::string Setting::environment_name() const
{
    return type == SettingType::version ? std::string() : variable_of(key);
}

std::string variable_of(std::string_view key)
{
    std::string name = "AUTOEXEC_";
    for (const char c : key)
        name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
}

std::string_view Setting::name() const
{
    return name_of(key);
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
    switch (type) {
        case SettingType::boolean:
            return "true or false";
        case SettingType::choice:
            return fmt::format("{} or {}",
                               fmt::join(choices.begin(), std::prev(choices.end()), ", "),
                               choices.back());
        case SettingType::integer:
        case SettingType::number: {
            const auto inf = std::numeric_limits<double>::infinity();
            if (range.least == -inf) return std::string(type_name());
            if (range.above_least)
                return fmt::format("more than {}, at most {}", range.least, range.most);
            return fmt::format("{} to {}", range.least, range.most);
        }
        case SettingType::file_name:
            return "a plain file name";
        case SettingType::duration:
            return "a duration: 90s, 12h, 7d, 2w";
        case SettingType::version:
            return fmt::format("\"{}\"", current_version);
        case SettingType::text:
            break;
    }
    return "text";
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

}  // namespace autoexec::config
