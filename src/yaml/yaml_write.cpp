#include "yaml/yaml_edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::yaml {
namespace {

constexpr std::size_t indent_step = 2;  // of indentation

std::string on_one_line(const YamlNode& node)
{
    switch (node.kind) {
        case YamlNode::Kind::null:
            return "null";
        case YamlNode::Kind::scalar:
            // A plain scalar of several lines may not be valid on one line.
            return node.quoted || node.as_string() ? quote_yaml(node.text) : node.text;
        case YamlNode::Kind::sequence:
            return "[]";
        case YamlNode::Kind::mapping:
            break;
    }
    return "{}";
}

bool is_word(std::string_view text)
{
    constexpr std::string_view safe =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
    return !text.empty() && text.find_first_not_of(safe) == text.npos && text.front() != '-' &&
           text.front() != '.';
}

void write(const YamlNode& node, std::size_t indentation, std::string& out);

// The part behind `key:` or `-`.
void write_value(const YamlNode& node, std::size_t indentation, std::string& out)
{
    if (node.items.empty() && node.entries.empty()) {
        out += fmt::format(" {}\n", on_one_line(node));
        return;
    }
    out += '\n';
    write(node, indentation + indent_step, out);
}

void write(const YamlNode& node, std::size_t indentation, std::string& out)
{
    const std::string margin(indentation, ' ');
    for (const auto& entry : node.entries) {
        out += fmt::format("{}{}:", margin, is_word(entry.key) ? entry.key : quote_yaml(entry.key));
        write_value(entry.value, indentation, out);
    }
    for (const auto& item : node.items) {
        out += margin + "-";
        write_value(item, indentation, out);
    }
}

}  // namespace

YamlNode make_scalar(std::string text, bool plain)
{
    YamlNode node;
    node.kind = YamlNode::Kind::scalar;
    node.text = std::move(text);
    node.quoted = !plain;
    return node;
}

std::string quote_yaml(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += fmt::format("\\{}", c);
        else if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out + '"';
}

std::string write_yaml(const YamlNode& node, std::size_t indentation)
{
    std::string out;
    if (node.items.empty() && node.entries.empty())
        return std::string(indentation, ' ') + on_one_line(node) + "\n";
    write(node, indentation, out);
    return out;
}

bool same_content(const YamlNode& a, const YamlNode& b)
{
    if (a.kind != b.kind) return false;
    if (a.kind == YamlNode::Kind::scalar) {
        if (a.text != b.text) return false;
        // Quotes matter only if the scalar would not be text without them.
        return a.quoted == b.quoted || (a.as_string() && b.as_string());
    }
    return std::ranges::equal(a.items, b.items, same_content) &&
           std::ranges::is_permutation(a.entries, b.entries,
                                       [](const YamlEntry& x, const YamlEntry& y) {
                                           return x.key == y.key && same_content(x.value, y.value);
                                       });
}

}  // namespace autoexec::yaml
