#include "config/layer.hpp"

#include "config/prices.hpp"
#include "text/text.hpp"
#include "yaml/fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

namespace autoexec {

std::string v1::to_string(const ConfigOrigin& origin)
{
    switch (origin.layer) {
        case ConfigLayer::defaults:
            return "default";
        case ConfigLayer::user_file:
        case ConfigLayer::project_config:
        case ConfigLayer::auto_execution:
            return fmt::format("{}:{}", origin.source, origin.line);
        case ConfigLayer::workflow:
            return origin.source;
        case ConfigLayer::environment:
            return fmt::format("environment {}", origin.source);
        case ConfigLayer::command_line:
            break;
    }
    return fmt::format("command line {}", origin.source);
}

namespace config {
namespace {

constexpr std::string_view extensions_section = "extensions";
constexpr std::string_view project_section = "workflow";

std::string join(std::string_view section, std::string_view name)
{
    return section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
}

// `0.9`, `1.0`, `1`: the minor part is optional.
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

// Keys of older versions are read in any file, so the version only has to be known.
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
    if (version > parse_version(current_version)) {
        report.error(node.at,
                     fmt::format("Version {} is newer than {}, the newest supported version",
                                 node.text, current_version),
                     fmt::format("Install a newer autoexec, or write the file for version {}.",
                                 current_version));
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
        case SettingType::prices:
            if (node.kind == yaml::YamlNode::Kind::mapping) return SettingValue(prices_json(node));
            [[fallthrough]];
        case SettingType::duration:
        case SettingType::choice:  // `no` and `1` are wrong as words, not because quotes are
                                   // missing
            if (node.kind != yaml::YamlNode::Kind::scalar) return std::nullopt;
            return SettingValue(node.text);
        default:
            return wrap(node.as_string());
    }
}

// A time with its unit is a frequent mistake.
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
    return fmt::format("{} Allowed: {}.", yaml::type_hint(node, s.type_name()), s.allowed());
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

std::string without_unit(std::string_view key, const std::vector<std::string_view>& names)
{
    for (const auto name : names)
        if (!key.empty() && name.starts_with(key) && name.substr(key.size()).starts_with('_') &&
            name.ends_with("_seconds"))
            return fmt::format("Did you mean '{}'?", name);
    return {};
}

// A key that is known in another section.
std::string other_place(const SettingsTable& table, std::string_view name)
{
    for (const auto& s : table.settings()) {
        const auto section = section_of(s.key);
        if (section.empty()) continue;
        if (s.key == name)
            return fmt::format("Keys are nested: write '{}:', and below it '{}:'.", section,
                               name_of(s.key));
        if (name_of(s.key) == name) return fmt::format("It belongs below '{}:'.", section);
    }
    return {};
}

// The section that has the settings of a section of version 1.0; empty if it was none.
std::string_view section_now(const SettingsTable& table, std::string_view former)
{
    for (const auto& s : table.settings())
        if (!s.former.empty() && section_of(s.former) == former) return section_of(s.key);
    return {};
}

void warn_unknown(const LayerReading& reading, const yaml::YamlEntry& entry,
                  std::string_view section)
{
    const auto now = section_now(reading.table, section);
    auto names = reading.table.names_in(now.empty() ? section : now);
    if (section.empty()) names.push_back(extensions_section);
    auto hint = other_place(reading.table, entry.key);
    if (const auto other = section_now(reading.table, entry.key);
        hint.empty() && section.empty() && !other.empty())
        hint = fmt::format("Did you mean '{}'?", other);
    if (hint.empty()) hint = without_unit(entry.key, names);
    if (hint.empty()) hint = yaml::did_you_mean(in_small_letters(entry.key), names);
    if (hint.empty() && !names.empty())
        hint = fmt::format("Known keys: {}.", fmt::join(names, ", "));
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
    return guess.empty() ? fmt::format("Known keys: {}.", own_section) : guess;
}

// The file is autoexec's, so it has no other section.
void warn_beside(const LayerReading& reading, const yaml::YamlNode& root)
{
    for (const auto& entry : root.entries)
        if (entry.key != own_section)
            reading.report.warning(entry.at, fmt::format("Unknown key '{}'", entry.key),
                                   hint_beside(reading, entry.key));
}

// A section that has a setting as in auto_execution_config.yaml. One is enough to see the mistake.
void warn_of_setting(const LayerReading& reading, const yaml::YamlEntry& section)
{
    for (const auto& entry : section.value.entries) {
        const auto key = fmt::format("{}.{}", section.key, entry.key);
        if (reading.table.find(key) == nullptr) continue;
        reading.report.warning(
            entry.at, fmt::format("'{}' has no effect in this file", key),
            fmt::format("It belongs below '{}:' in auto_execution_config.yaml.", own_section));
        return;
    }
}

// The file has sections of other programs, so only keys that resemble known ones give a warning.
void warn_near_misses(const LayerReading& reading, const yaml::YamlNode& root)
{
    static constexpr std::array<std::string_view, 1> read{project_section};
    static constexpr std::array<std::string_view, 1> elsewhere{own_section};
    for (const auto& entry : root.entries) {
        if (entry.key == project_section) continue;
        auto guess = yaml::did_you_mean(entry.key, read);
        if (entry.key == own_section || !yaml::did_you_mean(entry.key, elsewhere).empty())
            guess = fmt::format("'{}:' belongs in auto_execution_config.yaml.", own_section);
        if (!guess.empty())
            reading.report.warning(entry.at, fmt::format("Unknown key '{}'", entry.key),
                                   std::move(guess));
        warn_of_setting(reading, entry);
    }
}

// Null, with an error if the value exists and is not a mapping.
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

/// An entry with a key of version 1.0.
struct FormerEntry {
    const Setting* setting;
    const yaml::YamlEntry* entry;
};

void warn_renamed(const LayerReading& reading, const Setting& setting, yaml::Position at,
                  bool has_new)
{
    if (has_new) {
        reading.report.warning(
            at, fmt::format("'{}' has no effect: '{}' is set", setting.former, setting.key),
            fmt::format("Remove '{}'.", setting.former));
        return;
    }
    std::string hint = "Rename it.";
    if (reading.origin.layer == ConfigLayer::auto_execution)
        hint = "Run 'autoexec config migrate'.";
    if (reading.origin.layer == ConfigLayer::user_file)
        hint = fmt::format("Run 'autoexec config migrate {}'.", reading.report.path());
    reading.report.warning(at, fmt::format("'{}' is now '{}'", setting.former, setting.key),
                           std::move(hint));
}

void read_section(const LayerReading& reading, const yaml::YamlNode& node, std::string_view section,
                  std::vector<FormerEntry>& former)
{
    for (const auto& entry : node.entries) {
        // A dot in a key does not nest.
        const auto key = entry.key.find('.') == entry.key.npos ? join(section, entry.key) : "";
        const bool is_mapping = entry.value.kind == yaml::YamlNode::Kind::mapping;
        const bool below = reading.table.is_section(key);
        const bool foreign =
            key == extensions_section || key.starts_with(std::string(extensions_section) + ".");
        if (reading.table.find(key) != nullptr) {
            read_value(reading, key, entry.value, key);
        } else if (const auto* const setting = reading.table.find_former(key)) {
            former.push_back({setting, &entry});
        } else if (is_mapping && (below || !section_now(reading.table, key).empty())) {
            read_section(reading, entry.value, key, former);
        } else if (below && entry.value.kind != yaml::YamlNode::Kind::null) {
            reading.report.error(entry.value.at, fmt::format("'{}' must be a mapping", key),
                                 fmt::format("This is {}; known keys: {}.", entry.value.describe(),
                                             fmt::join(reading.table.names_in(key), ", ")));
        } else if (!below && !foreign) {
            warn_unknown(reading, entry, section);
        }
    }
}

}  // namespace

std::vector<std::string> path_in_file(std::string_view key)
{
    std::vector<std::string> path{std::string(own_section)};
    while (!key.empty()) {
        path.emplace_back(key.substr(0, key.find('.')));
        key.remove_prefix(std::min(key.size(), path.back().size() + 1));
    }
    return path;
}

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

void read_settings(const LayerReading& reading, const yaml::YamlNode& node)
{
    const auto first = reading.values.size();
    std::vector<FormerEntry> former;
    read_section(reading, node, {}, former);
    // The new name takes precedence, whatever the order in the file.
    const auto last = reading.values.size();
    for (const auto& [setting, entry] : former) {
        const bool has_new = std::any_of(
            reading.values.begin() + static_cast<std::ptrdiff_t>(first),
            reading.values.begin() + static_cast<std::ptrdiff_t>(last),
            [&key = setting->key](const LayerValue& value) { return value.key == key; });
        warn_renamed(reading, *setting, entry->at, has_new);
        if (!has_new) read_value(reading, setting->key, entry->value, setting->former);
    }
}

void read_own_file(const LayerReading& reading, std::string_view text)
{
    const auto root = read_mapping(reading, text);
    if (!root) return;
    warn_beside(reading, *root);
    if (const auto* const section = find_mapping(reading, *root, own_section))
        read_settings(reading, *section);
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
        if (const auto* const entry = section->find_entry(s.alias))
            read_value(reading, s.key, entry->value, "workflow." + s.alias);
    }
    // Most keys of the section belong to other programs; only near misses give a warning.
    for (const auto& entry : section->entries) {
        if (std::find(aliases.begin(), aliases.end(), entry.key) != aliases.end()) continue;
        if (auto guess = yaml::did_you_mean(entry.key, aliases); !guess.empty())
            reading.report.warning(entry.at, fmt::format("Unknown key 'workflow.{}'", entry.key),
                                   std::move(guess));
    }
}

}  // namespace config
}  // namespace autoexec
