#include "yaml/yaml_edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::yaml {
namespace {

constexpr std::size_t edit_indent = 2;  // of indentation, as in yaml_write.cpp

std::optional<YamlNode> parse(std::string_view text)
{
    Report report("", text);
    auto root = parse_yaml(text, report);
    if (report.failed()) return std::nullopt;
    return root;
}

std::size_t start_of_line(std::string_view text, int line)
{
    return offset_of(text, {line, 1});
}

std::string replaced(std::string_view text, std::size_t from, std::size_t size,
                     std::string_view with)
{
    std::string out(text.substr(0, from));
    // Whole lines are inserted; the last line of a file can lack its newline.
    if (with.ends_with('\n') && !out.empty() && out.back() != '\n') out += '\n';
    out += with;
    out += text.substr(std::min(text.size(), from + size));
    return out;
}

// The length of the scalar at the start of a text.
std::size_t token_size(std::string_view text, const YamlNode& node)
{
    return node.quoted ? std::min(quoted_size(text), text.size()) : node.text.size();
}

int last_line(const YamlNode& node)
{
    int line = node.at.line;
    for (const auto& item : node.items) line = std::max(line, last_line(item));
    for (const auto& entry : node.entries)
        line = std::max({line, entry.at.line, last_line(entry.value)});
    return line;
}

YamlEntry* find_entry(YamlNode& node, std::string_view key)
{
    const auto found = std::find_if(node.entries.begin(), node.entries.end(),
                                    [&](const YamlEntry& entry) { return entry.key == key; });
    return found == node.entries.end() ? nullptr : &*found;
}

bool set_in_tree(YamlNode& node, std::span<const std::string> path, const YamlNode& value)
{
    if (path.empty()) {
        if (node.kind == YamlNode::Kind::mapping || node.kind == YamlNode::Kind::sequence)
            return false;
        node = value;
        return true;
    }
    if (node.kind == YamlNode::Kind::null) node.kind = YamlNode::Kind::mapping;
    if (node.kind != YamlNode::Kind::mapping) return false;
    if (auto* const entry = find_entry(node, path.front()))
        return set_in_tree(entry->value, path.subspan(1), value);
    node.entries.push_back({path.front(), {}, {}});
    return set_in_tree(node.entries.back().value, path.subspan(1), value);
}

// `retry:`, `  max_attempts: 5` for keys that do not exist yet.
std::string new_lines(std::span<const std::string> path, const YamlNode& value,
                      std::size_t indentation)
{
    YamlNode node;
    (void)set_in_tree(node, path, value);
    return write_yaml(node, indentation);
}

/// The ways to write a change, the one that touches least first.
class Edits {
public:
    Edits(std::string_view text, const YamlNode& root, const YamlNode& wanted,
          std::span<const std::string> path, const YamlNode& value)
        : text_(text), root_(root), wanted_(wanted), path_(path), value_(value)
    {}

    std::optional<std::string> first_that_fits()
    {
        descend();
        for (const auto way :
             {&Edits::replace_scalar, &Edits::fill_empty, &Edits::append_to_mapping,
              &Edits::prepend_to_mapping, &Edits::rewrite_section, &Edits::rewrite_all}) {
            auto changed = (this->*way)();
            if (!changed) continue;
            const auto found = parse(*changed);
            if (found && same_content(*found, wanted_)) return changed;
        }
        return std::nullopt;
    }

private:
    // Follows the path until a key does not exist.
    void descend()
    {
        node_ = &root_;
        while (known_ < path_.size() && node_->kind == YamlNode::Kind::mapping) {
            const auto found =
                std::find_if(node_->entries.begin(), node_->entries.end(),
                             [&](const YamlEntry& entry) { return entry.key == path_[known_]; });
            if (found == node_->entries.end()) return;
            entry_ = &*found;
            node_ = &found->value;
            ++known_;
        }
    }

    std::optional<std::string> replace_scalar()
    {
        if (known_ < path_.size() || node_->kind != YamlNode::Kind::scalar) return std::nullopt;
        const auto from = offset_of(text_, node_->at);
        return replaced(text_, from, token_size(text_.substr(from), *node_), in_one_line());
    }

    std::optional<std::string> fill_empty()
    {
        if (node_->kind != YamlNode::Kind::null || entry_ == nullptr) return std::nullopt;
        if (known_ < path_.size()) {
            const auto indentation = static_cast<std::size_t>(entry_->at.column) - 1 + edit_indent;
            return replaced(text_, start_of_line(text_, entry_->at.line + 1), 0,
                            new_lines(path_.subspan(known_), value_, indentation));
        }
        const auto colon = text_.find(':', offset_of(text_, entry_->at) + entry_->key.size());
        if (colon == text_.npos) return std::nullopt;
        return replaced(text_, colon + 1, 0, " " + in_one_line());
    }

    std::optional<std::string> append_to_mapping()
    {
        if (node_ == &root_ && root_.entries.empty())
            return replaced(text_, text_.size(), 0, new_lines(path_, value_, 0));
        if (!is_open_mapping()) return std::nullopt;
        return replaced(text_, start_of_line(text_, last_line(*node_) + 1), 0, lines_for_mapping());
    }

    std::optional<std::string> prepend_to_mapping()
    {
        if (!is_open_mapping()) return std::nullopt;
        return replaced(text_, start_of_line(text_, node_->entries.front().at.line), 0,
                        lines_for_mapping());
    }

    std::optional<std::string> rewrite_section()
    {
        for (std::size_t i = 0; i < root_.entries.size(); ++i) {
            if (root_.entries[i].key != path_.front()) continue;
            const auto from = start_of_line(text_, root_.entries[i].at.line);
            const auto end = end_of_section(text_, root_, i);
            if (end < from) return std::nullopt;
            YamlNode section;
            section.kind = YamlNode::Kind::mapping;
            section.entries.push_back(wanted_.entries[i]);
            return replaced(text_, from, end - from, write_yaml(section));
        }
        return std::nullopt;
    }

    std::optional<std::string> rewrite_all() { return write_yaml(wanted_); }

    [[nodiscard]] bool is_open_mapping() const
    {
        return known_ < path_.size() && node_->kind == YamlNode::Kind::mapping &&
               !node_->entries.empty();
    }
    [[nodiscard]] std::string lines_for_mapping() const
    {
        const auto column = static_cast<std::size_t>(std::max(node_->entries.front().at.column, 1));
        return new_lines(path_.subspan(known_), value_, column - 1);
    }
    [[nodiscard]] std::string in_one_line() const
    {
        return value_.quoted ? quote_yaml(value_.text) : value_.text;
    }

    std::string_view text_;
    const YamlNode& root_;
    const YamlNode& wanted_;
    std::span<const std::string> path_;
    const YamlNode& value_;
    const YamlNode* node_ = nullptr;
    const YamlEntry* entry_ = nullptr;
    std::size_t known_ = 0;  // how much of the path leads to `node_`
};

}  // namespace

std::size_t end_of_section(std::string_view text, const YamlNode& root, std::size_t entry)
{
    const auto first = start_of_line(text, root.entries[entry].at.line + 1);
    auto end = entry + 1 < root.entries.size()
                   ? start_of_line(text, root.entries[entry + 1].at.line)
                   : text.size();
    while (end > first) {
        const auto start = text.substr(0, end - 1).rfind('\n') + 1;  // without any: npos + 1 is 0
        const auto line = text.substr(start, end - start);
        if (!line.starts_with('#') && line.find_first_not_of(" \t\r\n") != line.npos) break;
        end = start;
    }
    return end;
}

std::optional<std::string> set_in_yaml(std::string_view text, std::span<const std::string> path,
                                       const YamlNode& value)
{
    const auto root = parse(text);
    if (!root) return std::nullopt;
    auto wanted = *root;
    if (!set_in_tree(wanted, path, value)) return std::nullopt;
    return Edits(text, *root, wanted, path, value).first_that_fits();
}

}  // namespace autoexec::yaml
