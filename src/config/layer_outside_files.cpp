#include "config/layer.hpp"

#include "text/json.hpp"
#include "text/text.hpp"
#include "yaml/yaml_edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::config {
namespace {

constexpr std::string_view prefix = "AUTOEXEC_";

yaml::YamlNode variable_node(const Setting& s, std::string text)
{
    if (text.empty()) return {};
    if (s.type == SettingType::boolean && text == "1") text = "true";
    if (s.type == SettingType::boolean && text == "0") text = "false";
    return yaml::make_scalar(std::move(text), s.type_name() != "text");
}

struct EnvironmentReading {
    const SettingsTable& table;
    const std::vector<std::string>& environment;
    std::vector<LayerValue>& values;
    std::vector<Diagnostic> problems;

    [[nodiscard]] std::optional<std::string> find(std::string_view name) const
    {
        return find_variable(environment, name);
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
void read_former_variable(EnvironmentReading& reading, const Setting& s)
{
    const auto before = variable_of(s.former);
    const auto now = variable_of(s.key);
    if (!reading.find(before)) return;
    if (reading.find(now)) {
        reading.warn(before, fmt::format("This variable has no effect: {} is set", now),
                     fmt::format("Remove {}.", before));
        return;
    }
    reading.warn(before, fmt::format("This variable is now {}", now), "Rename it.");
    read_variable(reading, s, before);
}

// Variables that no setting has: those that are similar to a setting's, or all others.
void warn_unknown(EnvironmentReading& reading, bool similar)
{
    std::vector<std::string> names;
    std::vector<std::string> known{
        "AUTOEXEC_EXECUTION_ID", "AUTOEXEC_ATTEMPT_ID", "AUTOEXEC_ATTEMPT",
        "AUTOEXEC_WORKTREE",     "AUTOEXEC_RUN_ID",     "AUTOEXEC_WORKFLOW_ID",
        "AUTOEXEC_STEP_ID",      "AUTOEXEC_ROUND",      "AUTOEXEC_FEEDBACK"};  // of programs
    for (const auto& s : reading.table.settings()) {
        if (s.type == SettingType::version) continue;
        names.push_back(variable_of(s.key).substr(prefix.size()));
        if (!s.former.empty()) known.push_back(variable_of(s.former));
    }
    const std::vector<std::string_view> candidates(names.begin(), names.end());
    for (const auto& variable : reading.environment) {
        if (!variable.starts_with(prefix)) continue;
        const auto name = variable.substr(0, variable.find('='));
        if (std::ranges::find(known, name) != known.end()) continue;
        const auto rest = std::string_view(name).substr(prefix.size());
        const auto guess = yaml::nearest(rest, candidates);
        if (rest == guess || guess.empty() == similar) continue;
        reading.warn(name, "Unknown variable",
                     similar ? fmt::format("Did you mean '{}{}'?", prefix, guess)
                             : "No setting has a similar name: see autoexec config reference.");
    }
}

// Without positions.
yaml::YamlNode to_yaml(const boost::json::value& value)
{
    if (const auto* const text = value.if_string())
        return yaml::make_scalar(std::string(*text), false);
    if (value.is_double()) return yaml::make_scalar(text::format_double(value.get_double()), true);
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
        node = yaml::make_scalar(text::dump_line(value), true);
    }
    return node;
}

}  // namespace

std::optional<std::string> find_variable(const std::vector<std::string>& environment,
                                         std::string_view name)
{
    for (const auto& variable : environment)
        if (variable.starts_with(name) && variable.substr(name.size()).starts_with('='))
            return variable.substr(name.size() + 1);
    return std::nullopt;
}

std::vector<Diagnostic> read_environment(const SettingsTable& table,
                                         const std::vector<std::string>& environment,
                                         std::vector<LayerValue>& values)
{
    EnvironmentReading reading{table, environment, values, {}};
    for (const auto& s : table.settings())
        if (!s.former.empty()) read_former_variable(reading, s);
    for (const auto& s : table.settings())
        if (s.type != SettingType::version) read_variable(reading, s, variable_of(s.key));
    // Other programs' variables can have the prefix.
    warn_unknown(reading, true);
    return std::move(reading.problems);
}

std::vector<Diagnostic> unlike_variables(const SettingsTable& table,
                                         const std::vector<std::string>& environment)
{
    std::vector<LayerValue> none;
    EnvironmentReading reading{table, environment, none, {}};
    warn_unknown(reading, false);
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
