#include "config/layer.hpp"

#include "config/fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

namespace autoexec::config {
namespace {

constexpr std::string_view extensions_section = "extensions";
constexpr std::string_view project_section = "workflow";

std::string join(std::string_view section, std::string_view name)
{
    return section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
}

// `0.9`, `1.0`, `1`; the minor part may be left away.
std::optional<std::pair<int, int>> parse_version(std::string_view text)
{
    std::pair<int, int> version;
    const auto* const end = text.data() + text.size();
    auto next = std::from_chars(text.data(), end, version.first);
    if (next.ec != std::errc{} || version.first < 0) return std::nullopt;
    if (next.ptr == end) return version;
    if (*next.ptr != '.') return std::nullopt;
    next = std::from_chars(next.ptr + 1, end, version.second);
    if (next.ec != std::errc{} || next.ptr != end || version.second < 0) return std::nullopt;
    return version;
}

// Older files have the same settings, so every older version becomes ours.
std::optional<SettingValue> read_version(const yaml::YamlNode& node, std::string_view shown_key,
                                         yaml::Report& report)
{
    const auto version =
        node.kind == yaml::YamlNode::Kind::scalar ? parse_version(node.text) : std::nullopt;
    if (!version) {
        report.error(node.at, fmt::format("{} must be \"{}\"", shown_key, current_version),
                     fmt::format("This is {}.", node.describe()));
        return std::nullopt;
    }
    if (*version > std::pair{1, 0}) {
        report.error(node.at,
                     fmt::format("Version {} is newer than {}, the newest that this program knows",
                                 node.text, current_version),
                     "Install a newer autoexec, or write the file for this one.");
        return std::nullopt;
    }
    return SettingValue(std::string(current_version));
}

std::optional<SettingValue> typed(const Setting& s, const yaml::YamlNode& node)
{
    const auto wrap = [](auto value) {
        return value ? std::optional<SettingValue>(*std::move(value)) : std::nullopt;
    };
    switch (s.type) {
        case SettingType::boolean:
            return wrap(node.as_bool());
        case SettingType::integer:
            return wrap(node.as_integer());
        case SettingType::number:
            return wrap(node.as_number());
        case SettingType::duration:
        case SettingType::choice:  // `no` and `1` are wrong as words, not for want of quotes
            if (node.kind != yaml::YamlNode::Kind::scalar) return std::nullopt;
            return SettingValue(node.text);
        default:
            return wrap(node.as_string());
    }
}

// People write times with their unit.
std::string unit_hint(const Setting& s, const yaml::YamlNode& node)
{
    if (s.unit != "seconds" || node.kind != yaml::YamlNode::Kind::scalar) return {};
    const auto time = text::parse_duration(node.text);
    if (!time) return {};
    return fmt::format("Write {}: the unit is seconds.",
                       std::chrono::duration<double>(*time).count());
}

std::string type_advice(const Setting& s, const yaml::YamlNode& node)
{
    if (auto hint = unit_hint(s, node); !hint.empty()) return hint;
    static constexpr std::array<std::string_view, 2> booleans{"true", "false"};
    auto guess = s.type == SettingType::boolean && !node.quoted
                     ? yaml::did_you_mean(node.text, booleans)
                     : std::string();
    if (!guess.empty()) return guess;
    return fmt::format("{} Allowed: {}.", type_hint(node, s.type_name()), s.allowed());
}

std::string range_advice(const SettingsTable& table, const Setting& s, const SettingValue& value)
{
    if (s.type == SettingType::choice)
        if (auto guess = yaml::did_you_mean(std::get<std::string>(value), s.choices);
            !guess.empty())
            return guess;
    return fmt::format("Allowed: {}; the default is {}.", s.allowed(),
                       to_string(s.get(table.defaults())));
}

std::string in_small_letters(std::string text)
{
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

std::string unit_left_away(std::string_view key, const std::vector<std::string_view>& names)
{
    for (const auto name : names)
        if (!key.empty() && name.starts_with(key) && name.substr(key.size()) == "_seconds")
            return fmt::format("Did you mean '{}'?", name);
    return {};
}

// A key that is known, but at another place.
std::string other_place(const SettingsTable& table, std::string_view name)
{
    for (const auto& s : table.settings()) {
        const auto section =
            s.key.substr(0, s.key.size() - std::min(s.key.size(), s.name().size() + 1));
        if (s.key == name && !section.empty())
            return fmt::format("It is nested: '{}:', and below it '{}:'.", section, s.name());
        if (s.name() == name && !section.empty())
            return fmt::format("It belongs below '{}:'.", section);
    }
    return {};
}

void warn_unknown(const LayerReading& reading, const yaml::YamlEntry& entry,
                  std::string_view section)
{
    auto names = reading.table.names_in(section);
    if (section.empty()) names.push_back(extensions_section);
    auto hint = other_place(reading.table, entry.key);
    if (hint.empty()) hint = unit_left_away(entry.key, names);
    if (hint.empty()) hint = yaml::did_you_mean(in_small_letters(entry.key), names);
    if (hint.empty() && !names.empty())
        hint = fmt::format("Known here: {}.", fmt::join(names, ", "));
    reading.report.warning(entry.at, fmt::format("Unknown key '{}'", join(section, entry.key)),
                           std::move(hint));
}

std::string hint_beside(const LayerReading& reading, std::string_view key)
{
    static constexpr std::array<std::string_view, 1> ours{own_section};
    if (reading.table.find(key) != nullptr || reading.table.is_section(key) ||
        key == extensions_section)
        return fmt::format("It belongs below '{}:'.", own_section);
    auto guess = yaml::did_you_mean(key, ours);
    return guess.empty() ? fmt::format("Known here: {}.", own_section) : guess;
}

// The file is ours, so nothing else belongs beside the section.
void warn_beside(const LayerReading& reading, const yaml::YamlNode& root)
{
    for (const auto& entry : root.entries)
        if (entry.key != own_section)
            reading.report.warning(entry.at, fmt::format("Unknown key '{}'", entry.key),
                                   hint_beside(reading, entry.key));
}

// The file holds sections of other programs: only what resembles one of ours deserves a warning.
void warn_near_misses(const LayerReading& reading, const yaml::YamlNode& root)
{
    static constexpr std::array<std::string_view, 1> read{project_section};
    static constexpr std::array<std::string_view, 1> elsewhere{own_section};
    for (const auto& entry : root.entries) {
        if (entry.key == project_section) continue;
        auto guess = yaml::did_you_mean(entry.key, read);
        if (entry.key == own_section || !yaml::did_you_mean(entry.key, elsewhere).empty())
            guess = fmt::format("'{}:' belongs into auto_execution_config.yaml.", own_section);
        if (!guess.empty())
            reading.report.warning(entry.at, fmt::format("Unknown key '{}'", entry.key),
                                   std::move(guess));
    }
}

// What is empty has no place but its key's.
yaml::YamlNode value_at_place(const yaml::YamlEntry& entry)
{
    auto node = entry.value;
    if (node.kind == yaml::YamlNode::Kind::null) node.at = entry.at;
    return node;
}

// Nothing, and an error, if it is there and no mapping.
const yaml::YamlNode* find_mapping(const LayerReading& reading, const yaml::YamlNode& root,
                                   std::string_view name)
{
    const auto* const node = root.find(name);
    if (node == nullptr || node->kind == yaml::YamlNode::Kind::null) return nullptr;
    if (node->kind == yaml::YamlNode::Kind::mapping) return node;
    reading.report.error(node->at, fmt::format("'{}' must be a mapping", name),
                         fmt::format("This is {}.", node->describe()));
    return nullptr;
}

std::optional<yaml::YamlNode> read_mapping(const LayerReading& reading, std::string_view text)
{
    auto root = yaml::parse_yaml(text, reading.report);
    if (!root || root->kind == yaml::YamlNode::Kind::null) return std::nullopt;
    if (root->kind == yaml::YamlNode::Kind::mapping) return root;
    reading.report.error(root->at, "The file must be a mapping: 'key: value' on each line",
                         fmt::format("This is {}.", root->describe()));
    return std::nullopt;
}

}  // namespace

void read_value(const LayerReading& reading, std::string_view key, const yaml::YamlNode& node,
                std::string_view shown_key)
{
    auto setting = *reading.table.find(key);
    setting.key = shown_key;
    auto& report = reading.report;
    std::optional<SettingValue> value;
    if (setting.type == SettingType::version) {
        value = read_version(node, shown_key, report);
    } else if (value = typed(setting, node); !value) {
        report.error(node.at, fmt::format("{} must be {}", shown_key, setting.type_name()),
                     type_advice(setting, node));
    } else if (auto complaint = setting.complaint(*value); !complaint.empty()) {
        report.error(node.at, std::move(complaint), range_advice(reading.table, setting, *value));
        value.reset();
    }
    if (!value) return;
    auto origin = reading.origin;
    origin.line = node.at.line;
    origin.column = node.at.column;
    reading.values.push_back({std::string(key), *std::move(value), std::move(origin)});
}

void read_section(const LayerReading& reading, const yaml::YamlNode& node, std::string_view section)
{
    for (const auto& entry : node.entries) {
        // A dot in a key nests nothing.
        const auto key = entry.key.find('.') == entry.key.npos ? join(section, entry.key) : "";
        const bool below = reading.table.is_section(key);
        const bool foreign =
            key == extensions_section || key.starts_with(std::string(extensions_section) + ".");
        if (reading.table.find(key) != nullptr) {
            read_value(reading, key, value_at_place(entry), key);
        } else if (below && entry.value.kind == yaml::YamlNode::Kind::mapping) {
            read_section(reading, entry.value, key);
        } else if (below && entry.value.kind != yaml::YamlNode::Kind::null) {
            reading.report.error(
                entry.value.at, fmt::format("'{}' must be a mapping", key),
                fmt::format("This is {}; below it there are {}.", entry.value.describe(),
                            fmt::join(reading.table.names_in(key), ", ")));
        } else if (!below && !foreign) {
            warn_unknown(reading, entry, section);
        }
    }
}

void read_own_file(const LayerReading& reading, std::string_view text)
{
    const auto root = read_mapping(reading, text);
    if (!root) return;
    warn_beside(reading, *root);
    if (const auto* const section = find_mapping(reading, *root, own_section))
        read_section(reading, *section, {});
}

void read_project_file(const LayerReading& reading, std::string_view text)
{
    const auto root = read_mapping(reading, text);
    if (!root) return;
    warn_near_misses(reading, *root);
    const auto* const section = find_mapping(reading, *root, project_section);
    if (section == nullptr) return;
    std::vector<std::string_view> aliases;
    for (const auto& s : reading.table.settings()) {
        if (s.alias.empty()) continue;
        aliases.push_back(s.alias);
        const auto entry = std::find_if(section->entries.begin(), section->entries.end(),
                                        [&](const yaml::YamlEntry& e) { return e.key == s.alias; });
        if (entry != section->entries.end())
            read_value(reading, s.key, value_at_place(*entry), "workflow." + s.alias);
    }
    // Most of the section is others': only what looks like one of ours is worth a word.
    for (const auto& entry : section->entries) {
        if (std::find(aliases.begin(), aliases.end(), entry.key) != aliases.end()) continue;
        if (auto guess = yaml::did_you_mean(entry.key, aliases); !guess.empty())
            reading.report.warning(entry.at, fmt::format("Unknown key 'workflow.{}'", entry.key),
                                   std::move(guess));
    }
}

}  // namespace autoexec::config
