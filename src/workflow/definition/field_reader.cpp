#include "workflow/definition/field_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/array.hpp>

#include <algorithm>

namespace autoexec::workflow {

using yaml::Position;
using yaml::Report;
using yaml::YamlEntry;
using yaml::YamlNode;

boost::json::value to_json(const YamlNode& node)
{
    switch (node.kind) {
        case YamlNode::Kind::null:
            return nullptr;
        case YamlNode::Kind::sequence: {
            boost::json::array items;
            for (const auto& item : node.items) items.push_back(to_json(item));
            return items;
        }
        case YamlNode::Kind::mapping: {
            boost::json::object members;
            for (const auto& entry : node.entries) members[entry.key] = to_json(entry.value);
            return members;
        }
        case YamlNode::Kind::scalar:
            break;
    }
    if (const auto value = node.as_bool()) return *value;
    if (const auto value = node.as_integer()) return *value;
    if (const auto value = node.as_number()) return *value;
    return boost::json::string(node.text);
}

FieldReader::FieldReader(const YamlNode& mapping, std::string prefix, Report& report)
    : Fields(mapping, std::move(prefix), report, NullValue::absent)
{}

void FieldReader::check_keys(std::span<const KeyAlias> meant)
{
    const auto known = asked();
    for (const auto& entry : node().entries) {
        const auto other = std::ranges::find(meant, entry.key, &KeyAlias::first);
        const bool is_known = std::ranges::find(known, entry.key) != known.end();
        if (entry.key == "<<")
            error(entry.key, "YAML merge keys ('<<') are not supported",
                  "Write out the fields that it refers to.");
        else if (!is_known)
            report_unknown(entry, other == meant.end()
                                      ? yaml::did_you_mean(entry.key, known)
                                      : fmt::format("Did you mean '{}'?", other->second));
        else if (entry.value.is_empty())  // `next: null` means "none"
            report().warning(entry.at, fmt::format("{}Field '{}' is empty", prefix(), entry.key),
                             "Remove it, or give it a value.");
    }
}

void FieldReader::report_unknown(const YamlEntry& entry, std::string hint)
{
    report().unknown_key(entry.at, fmt::format("{}Unknown field '{}'", prefix(), entry.key),
                         std::move(hint));
}

std::string_view FieldReader::either(std::string_view name, std::string_view other)
{
    if (find(name) == nullptr) return find(other) != nullptr ? other : std::string_view{};
    if (find(other) != nullptr)
        error(other, fmt::format("'{}' is another name for '{}', which is given, too", other, name),
              "Remove one of them.");
    return name;
}

std::optional<int> FieldReader::integer(std::string_view key, int least, int most)
{
    const auto value = Fields::integer(key, least, most);
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

std::optional<std::string> FieldReader::prose(std::string_view key)
{
    const auto* const node = find(key);
    if (node == nullptr || node->kind != YamlNode::Kind::scalar) return text(key);
    if (!node->as_string())
        warning(key, fmt::format("Field '{}' is read as the text '{}'", key, node->text),
                yaml::type_hint(*node, "text"));
    return node->text;
}

std::optional<std::size_t> FieldReader::choice(std::string_view key,
                                               std::initializer_list<std::string_view> words)
{
    const auto word = text(key);
    if (!word) return std::nullopt;
    const std::span all(words);
    const auto found = std::ranges::find(all, *word);
    if (found != all.end()) return static_cast<std::size_t>(found - all.begin());
    error(key,
          fmt::format("Field '{}' must be {} or {} (got: {})", key,
                      fmt::join(all.first(all.size() - 1), ", "), all.back(), *word),
          yaml::did_you_mean(*word, all));
    return std::nullopt;
}

std::vector<std::string> FieldReader::texts(std::string_view key)
{
    return list_of_texts(key, false);
}

std::vector<std::string> FieldReader::words(std::string_view key)
{
    return list_of_texts(key, true);
}

std::vector<std::string> FieldReader::list_of_texts(std::string_view key, bool as_written)
{
    std::vector<std::string> values;
    const auto* const node = find(key);
    if (node == nullptr) return values;
    const auto add = [&](const YamlNode& item, const std::string& name, std::string_view expected) {
        const bool written = as_written && item.kind == YamlNode::Kind::scalar;
        if (auto value = written ? item.text : item.as_string())
            return values.push_back(*std::move(value));
        wrong_type(name, item, expected);
        remember_wrong(std::string(key));
    };
    if (node->kind != YamlNode::Kind::sequence)
        add(*node, std::string(key), "a list of texts");
    else
        for (std::size_t i = 0; i < node->items.size(); ++i)
            add(node->items[i], fmt::format("{}[{}]", key, i + 1), "text");
    return values;
}

const YamlNode* FieldReader::mapping(std::string_view key)
{
    const auto* const node = find(key);
    if (node == nullptr || node->kind == YamlNode::Kind::mapping) return node;
    wrong_type(key, "a mapping");
    return nullptr;
}

boost::json::object FieldReader::object(std::string_view key)
{
    const auto* const node = mapping(key);
    return node != nullptr ? to_json(*node).as_object() : boost::json::object{};
}

std::optional<FieldReader> FieldReader::within(std::string_view key)
{
    const auto* const node = mapping(key);
    if (node == nullptr) return std::nullopt;
    return FieldReader(*node, fmt::format("{}{}: ", prefix(), key), report());
}

FieldReader FieldReader::of_item(const YamlNode& mapping, std::string_view name) const
{
    return {mapping, fmt::format("{}{}: ", prefix(), name), report()};
}

std::optional<std::string> FieldReader::expression(std::string_view key)
{
    const auto* const node = find(key);
    if (node == nullptr) return std::nullopt;
    if (const auto constant = node->as_bool()) return *constant ? "true" : "false";
    auto value = text(key);
    if (!value || value->find_first_not_of(" \t\r\n") != std::string::npos) return value;
    error(key, fmt::format("Field '{}' must not be empty", key),
          begins_with_tag(*node)
              ? "In YAML, a value that starts with '!' is a tag; put it in quotes."
              : "");
    return std::nullopt;
}

bool FieldReader::begins_with_tag(const YamlNode& node) const
{
    const auto line = report().line(node.at.line);
    const auto column = static_cast<std::size_t>(std::max(node.at.column, 1)) - 1;
    return column < line.size() && line[column] == '!';
}

void FieldReader::take_wrong(std::string_view key, const FieldReader& inner)
{
    for (const auto& field : inner.wrong()) remember_wrong(fmt::format("{}.{}", key, field));
}

}  // namespace autoexec::workflow
