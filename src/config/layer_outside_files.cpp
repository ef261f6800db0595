#include "config/layer.hpp"

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

yaml::YamlNode read_variable(const Setting& s, std::string text)
{
    if (text.empty()) return {};
    if (s.type == SettingType::boolean && text == "1") text = "true";
    if (s.type == SettingType::boolean && text == "0") text = "false";
    return scalar(std::move(text), s.type_name() == "text");
}

// Most variables with our prefix are for others: only what looks like one of ours is worth a word.
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
    std::vector<Diagnostic> problems;
    for (const auto& s : table.settings()) {
        const auto name = s.environment_name();
        if (name.empty()) continue;
        const auto found =
            std::find_if(environment.begin(), environment.end(),
                         [&](const auto& variable) { return variable.starts_with(name + "="); });
        if (found == environment.end()) continue;
        const ConfigOrigin origin{ConfigLayer::environment, name};
        yaml::Report report(name, {});
        read_value({table, origin, report, values}, s.key,
                   read_variable(s, found->substr(name.size() + 1)), name);
        for (auto& problem : report.take_errors()) problems.push_back(std::move(problem));
    }
    warn_near_misses(table, environment, problems);
    return problems;
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
        read_section(reading, to_yaml(*found), {});
    else
        read_value(reading, "enabled", to_yaml(*found), own_section);
    auto problems = report.take_errors();
    for (auto& warning : report.take_warnings()) problems.push_back(std::move(warning));
    return problems;
}

}  // namespace autoexec::config
