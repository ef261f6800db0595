#include "config/layer.hpp"

#include "config/renames.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::config {
namespace {

constexpr std::string_view prefix = "AUTOEXEC_";

yaml::YamlNode scalar(std::string text, bool quoted)
{
    yaml::YamlNode node;
    node.kind = yaml::YamlNode::Kind::scalar;
    node.text = std::move(text);
    node.quoted = quoted;
    return node;
}

yaml::YamlNode variable_node(const Setting& s, std::string text)
{
    if (text.empty()) return {};
    if (s.type == SettingType::boolean && text == "1") text = "true";
    if (s.type == SettingType::boolean && text == "0") text = "false";
    return scalar(std::move(text), s.type_name() == "text");
}

struct EnvironmentReading {
    const SettingsTable& table;
    const std::vector<std::string>& environment;
    std::vector<LayerValue>& values;
    std::vector<Diagnostic> problems;

    [[nodiscard]] std::optional<std::string> find(const std::string& name) const
    {
        for (const auto& variable : environment)
            if (variable.starts_with(name + "=")) return variable.substr(name.size() + 1);
        return std::nullopt;
    }
    void warn(const std::string& name, std::string message, std::string hint)
    {
        yaml::Report report(name, {});
        report.warning({}, std::move(message), std::move(hint));
        problems.push_back(report.take_warnings().front());
    }
};

void read_variable(EnvironmentReading& reading, const Setting& s, const std::string& name)
{
    auto text = reading.find(name);
    if (!text) return;
    yaml::Report report(name, {});
    read_value({reading.table, {ConfigLayer::environment, name}, report, reading.values}, s.key,
               variable_node(s, *std::move(text)), name);
    for (auto& problem : report.take_errors()) reading.problems.push_back(std::move(problem));
}

// The name that a variable had in version 1.0.
void read_former_variable(EnvironmentReading& reading, const Rename& rename)
{
    const auto before = variable_of(rename.before);
    const auto now = variable_of(rename.now);
    if (!reading.find(before)) return;
    if (reading.find(now)) {
        reading.warn(before, fmt::format("This variable has no effect: {} is set", now),
                     fmt::format("Remove {}.", before));
        return;
    }
    reading.warn(before, fmt::format("This variable is now {}", now), "Rename it.");
    read_variable(reading, *reading.table.find(rename.now), before);
}

bool is_former_variable(std::string_view name)
{
    return std::any_of(renames().begin(), renames().end(),
                       [&](const Rename& rename) { return variable_of(rename.before) == name; });
}

// Other variables can have the prefix, so only near misses give a warning.
void warn_near_misses(const SettingsTable& table, const std::vector<std::string>& environment,
                      std::vector<Diagnostic>& problems)
{
    std::vector<std::string> names;
    for (const auto& s : table.settings())
        if (auto name = s.environment_name(); !name.empty())
            names.push_back(name.substr(prefix.size()));
    const std::vector<std::string_view> candidates(names.begin(), names.end());
    for (const auto& variable : environment) {
        if (!variable.starts_with(prefix)) continue;
        const auto name = variable.substr(0, variable.find('='));
        if (is_former_variable(name)) continue;
        const auto guess = yaml::nearest(std::string_view(name).substr(prefix.size()), candidates);
        if (guess.empty() || name.substr(prefix.size()) == guess) continue;
        yaml::Report report(name, {});
        report.warning({}, "Unknown variable", fmt::format("Did you mean '{}{}'?", prefix, guess));
        problems.push_back(report.take_warnings().front());
    }
}

}  // namespace

yaml::YamlNode to_yaml(const boost::json::value& value)
{
    if (const auto* const text = value.if_string()) return scalar(std::string(*text), true);
    if (value.is_double()) return scalar(text::format_double(value.get_double()), false);
    if (value.is_null()) return {};

    yaml::YamlNode node;
    if (const auto* const object = value.if_object()) {
        node.kind = yaml::YamlNode::Kind::mapping;
        for (const auto& [key, member] : *object)
            node.entries.push_back({key, {}, to_yaml(member)});
    } else if (const auto* const list = value.if_array()) {
        node.kind = yaml::YamlNode::Kind::sequence;
        for (const auto& item : *list) node.items.push_back(to_yaml(item));
    } else {
        node = scalar(text::dump_line(value), false);
    }
    return node;
}

std::vector<Diagnostic> read_environment(const SettingsTable& table,
                                         const std::vector<std::string>& environment,
                                         std::vector<LayerValue>& values)
{
    EnvironmentReading reading{table, environment, values, {}};
    for (const auto& rename : renames()) read_former_variable(reading, rename);
    for (const auto& s : table.settings())
        if (const auto name = s.environment_name(); !name.empty()) read_variable(reading, s, name);
    warn_near_misses(table, environment, reading.problems);
    return std::move(reading.problems);
}

std::vector<Diagnostic> read_metadata(const SettingsTable& table,
                                      const boost::json::object& metadata,
                                      std::vector<LayerValue>& values)
{
    const auto* const found = metadata.if_contains(own_section);
    if (found == nullptr || found->is_null()) return {};
    const ConfigOrigin origin{ConfigLayer::workflow, "workflow metadata"};
    yaml::Report report(origin.source, {});
    const LayerReading reading{table, origin, report, values};
    if (found->is_object())
        read_settings(reading, to_yaml(*found));
    else
        read_value(reading, "enabled", to_yaml(*found), own_section);
    auto problems = report.take_errors();
    for (auto& warning : report.take_warnings()) problems.push_back(std::move(warning));
    return problems;
}

}  // namespace autoexec::config
