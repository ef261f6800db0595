#include "yaml/yaml_rename.hpp"

#include "yaml/yaml.hpp"
#include "yaml/yaml_edit.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace autoexec::yaml {
namespace {

constexpr std::size_t new_section_indent = 2;

std::optional<YamlNode> parse_text(std::string_view text)
{
    Report report("", text);
    auto root = parse_yaml(text, report);
    if (report.failed()) return std::nullopt;
    return root;
}

// As same_content, but the order of the keys does not matter.
bool same_keys(const YamlNode& a, const YamlNode& b)
{
    if (a.kind != YamlNode::Kind::mapping || b.kind != YamlNode::Kind::mapping)
        return same_content(a, b);
    return a.entries.size() == b.entries.size() &&
           std::all_of(a.entries.begin(), a.entries.end(), [&](const YamlEntry& entry) {
               const auto* const other = b.find(entry.key);
               return other != nullptr && same_keys(entry.value, *other);
           });
}

/// A mapping and the entry that a path leads to; `entry` is the end of the mapping's entries if the
/// last key does not exist.
struct Target {
    std::vector<YamlEntry>* entries;
    std::vector<YamlEntry>::iterator entry;
    YamlEntry* section = nullptr;  ///< The entry of the mapping itself; null for the root.

    [[nodiscard]] bool exists() const { return entry != entries->end(); }
};

// Nothing if the path does not lead through mappings.
std::optional<Target> find_target(YamlNode& root, YamlPath path)
{
    Target target{&root.entries, root.entries.end()};
    auto* node = &root;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (node->kind != YamlNode::Kind::mapping) return std::nullopt;
        target.entries = &node->entries;
        target.entry = std::find_if(node->entries.begin(), node->entries.end(),
                                    [&](const YamlEntry& e) { return e.key == path[i]; });
        if (i + 1 == path.size()) break;
        if (!target.exists()) return std::nullopt;
        target.section = &*target.entry;
        node = &target.entry->value;
    }
    return target;
}

int end_of(const YamlNode& node)
{
    int line = node.at.line;
    for (const auto& item : node.items) line = std::max(line, end_of(item));
    for (const auto& entry : node.entries)
        line = std::max({line, entry.at.line, end_of(entry.value)});
    return line;
}

/// The lines of a text, changed by whole lines.
class Lines {
public:
    explicit Lines(std::string_view text)
    {
        while (!text.empty()) {
            const auto size = std::min(text.find('\n'), text.size() - 1) + 1;
            lines_.emplace_back(text.substr(0, size));
            text.remove_prefix(size);
        }
        if (!lines_.empty() && !lines_.back().ends_with('\n')) lines_.back() += '\n';
    }

    // Of the line with that number, from 1.
    [[nodiscard]] std::string& at(int number)
    {
        return lines_.at(static_cast<std::size_t>(number) - 1);
    }
    [[nodiscard]] bool is_comment(int number) const
    {
        if (number < 1) return false;
        const auto& line = lines_.at(static_cast<std::size_t>(number) - 1);
        const auto word = line.find_first_not_of(" \t");
        return word != line.npos && line[word] == '#';
    }
    [[nodiscard]] std::string copy(int first, int last) const
    {
        std::string copied;
        for (auto i = first; i <= last; ++i) copied += lines_.at(static_cast<std::size_t>(i) - 1);
        return copied;
    }
    void remove(int first, int last)
    {
        lines_.erase(lines_.begin() + first - 1, lines_.begin() + last);
    }
    void insert_before(int number, std::string text)
    {
        lines_.insert(lines_.begin() + number - 1, std::move(text));
    }
    [[nodiscard]] std::string text() const
    {
        std::string text;
        for (const auto& line : lines_) text += line;
        return text;
    }

private:
    std::vector<std::string> lines_;
};

std::string indented(std::string text, std::size_t from, std::size_t to)
{
    std::string out;
    while (!text.empty()) {
        const auto size = std::min(text.find('\n'), text.size() - 1) + 1;
        auto line = text.substr(0, size);
        text.erase(0, size);
        const auto spaces = std::min({line.find_first_not_of(' '), from, line.size()});
        out += std::string(to, ' ') + line.substr(spaces);
    }
    return out;
}

// Replaces the key at a position of a line; the line stays if another text is there.
void replace_key(std::string& line, int column, const std::string& before, const std::string& now)
{
    const auto at = static_cast<std::size_t>(std::max(column - 1, 0));
    if (at >= line.size()) return;
    const bool quoted = line[at] == '"' || line[at] == '\'';
    const auto size = quoted ? quoted_size(std::string_view(line).substr(at)) : before.size();
    if (size <= line.size() - at) line.replace(at, size, now);
}

// The comment behind an entry on its line, as a line of its own; empty if there is none.
std::string trailing_comment(const std::string& line, int column)
{
    const auto hash = line.find(" #");
    if (hash == line.npos) return {};
    return std::string(static_cast<std::size_t>(std::max(column - 1, 0)), ' ') +
           line.substr(hash + 1);
}

/// One change of a text, by lines if its form allows that.
class Renaming {
public:
    Renaming(std::string_view text, YamlNode root) : text_(text), root_(std::move(root)) {}

    std::optional<std::string> rename(YamlPath from, YamlPath to)
    {
        const auto source = find_target(root_, from);
        if (!source || !source->exists()) return std::nullopt;
        if (const auto taken = find_target(root_, to); taken && taken->exists())
            return std::nullopt;
        const bool same_mapping =
            std::equal(from.begin(), from.end() - 1, to.begin(), to.end() - 1);
        auto wanted = root_;
        if (!move_in_tree(wanted, from, to, same_mapping)) return std::nullopt;
        auto changed = same_mapping ? renamed_key(*source, to.back()) : moved_lines(*source, to);
        return checked(std::move(changed), wanted, from.front());
    }

    std::optional<std::string> remove(YamlPath path)
    {
        const auto source = find_target(root_, path);
        if (!source || !source->exists()) return std::nullopt;
        auto wanted = root_;
        remove_from_tree(wanted, path);
        Lines lines(text_);
        const auto& entry = *source->entry;
        auto comment = trailing_comment(lines.at(entry.at.line), entry.at.column);
        lines.remove(entry.at.line, end_of_entry(entry));
        if (!comment.empty()) lines.insert_before(entry.at.line, std::move(comment));
        remove_empty_section(lines, *source);
        return checked(lines.text(), wanted, path.front());
    }

private:
    static int end_of_entry(const YamlEntry& entry)
    {
        return std::max(entry.at.line, end_of(entry.value));
    }

    static void remove_from_tree(YamlNode& root, YamlPath path)
    {
        const auto target = find_target(root, path);
        target->entries->erase(target->entry);
        if (target->section != nullptr && target->entries->empty() && path.size() > 1)
            remove_from_tree(root, path.first(path.size() - 1));
    }

    static bool move_in_tree(YamlNode& root, YamlPath from, YamlPath to, bool same_mapping)
    {
        const auto source = find_target(root, from);
        if (same_mapping) {
            source->entry->key = to.back();
            return true;
        }
        const auto value = source->entry->value;
        remove_from_tree(root, from);
        auto* node = &root;
        for (const auto& key : to) {
            if (node->kind == YamlNode::Kind::null) node->kind = YamlNode::Kind::mapping;
            if (node->kind != YamlNode::Kind::mapping) return false;
            auto found = std::find_if(node->entries.begin(), node->entries.end(),
                                      [&](const YamlEntry& e) { return e.key == key; });
            if (found == node->entries.end())
                found = node->entries.insert(node->entries.end(), YamlEntry{key, {}, {}});
            node = &found->value;
        }
        *node = value;
        return true;
    }

    std::string renamed_key(const Target& source, const std::string& now)
    {
        Lines lines(text_);
        replace_key(lines.at(source.entry->at.line), source.entry->at.column, source.entry->key,
                    now);
        return lines.text();
    }

    // The header of a section that has lost its only entry.
    static void remove_empty_section(Lines& lines, const Target& source)
    {
        if (source.section == nullptr || source.entries->size() > 1) return;
        const auto at = source.section->at;
        auto comment = trailing_comment(lines.at(at.line), at.column);
        lines.remove(at.line, at.line);
        if (!comment.empty()) lines.insert_before(at.line, std::move(comment));
    }

    // Empty if there is no section to move from.
    std::string moved_lines(const Target& source, YamlPath to)
    {
        const auto& entry = *source.entry;
        if (source.section == nullptr || to.size() < 2) return {};
        Lines lines(text_);
        replace_key(lines.at(entry.at.line), entry.at.column, entry.key, to.back());
        auto first = entry.at.line;
        while (lines.is_comment(first - 1) && first - 1 > source.section->at.line) --first;
        const auto last = end_of_entry(entry);
        const auto column = static_cast<std::size_t>(std::max(entry.at.column - 1, 0));

        const auto target = find_target(root_, to);
        const bool has_section = target && !target->entries->empty() && target->section != nullptr;
        const auto& anchor = has_section ? *target->section : *source.section;
        const auto end = end_of_entry(anchor);
        const auto margin = static_cast<std::size_t>(std::max(anchor.at.column - 1, 0));
        const auto indent =
            has_section
                ? static_cast<std::size_t>(std::max(target->entries->front().at.column - 1, 0))
                : margin + new_section_indent;
        auto header =
            has_section ? std::string() : std::string(margin, ' ') + to[to.size() - 2] + ":\n";
        auto moved = header + indented(lines.copy(first, last), column, indent);
        // The later change first, so that the numbers of the other lines stay right.
        if (end < first) {
            lines.remove(first, last);
            remove_empty_section(lines, source);
            lines.insert_before(end + 1, std::move(moved));
        } else {
            lines.insert_before(end + 1, std::move(moved));
            lines.remove(first, last);
            remove_empty_section(lines, source);
        }
        return lines.text();
    }

    // The text if it has the wanted content; else with the section of the first key written again.
    std::optional<std::string> checked(std::string changed, const YamlNode& wanted,
                                       const std::string& section)
    {
        const auto found = parse_text(changed);
        if (found && same_keys(*found, wanted)) return changed;
        return rewritten(wanted, section);
    }

    std::optional<std::string> rewritten(const YamlNode& wanted, const std::string& section) const
    {
        YamlNode part;
        part.kind = YamlNode::Kind::mapping;
        for (const auto& entry : wanted.entries)
            if (entry.key == section) part.entries.push_back(entry);
        for (std::size_t i = 0; i < root_.entries.size(); ++i) {
            if (root_.entries[i].key != section) continue;
            const auto from = offset_of(text_, {root_.entries[i].at.line, 1});
            const auto end = end_of_section(text_, root_, i);
            if (end < from) break;
            auto changed = std::string(text_.substr(0, from)) + write_yaml(part) +
                           std::string(text_.substr(end));
            const auto found = parse_text(changed);
            if (found && same_keys(*found, wanted)) return changed;
        }
        auto changed = write_yaml(wanted);
        const auto found = parse_text(changed);
        if (found && same_keys(*found, wanted)) return changed;
        return std::nullopt;
    }

    std::string_view text_;
    YamlNode root_;
};

}  // namespace

std::optional<std::string> rename_in_yaml(std::string_view text, YamlPath from, YamlPath to)
{
    auto root = parse_text(text);
    if (!root || from.empty() || to.empty()) return std::nullopt;
    return Renaming(text, *std::move(root)).rename(from, to);
}

std::optional<std::string> remove_in_yaml(std::string_view text, YamlPath path)
{
    auto root = parse_text(text);
    if (!root || path.empty()) return std::nullopt;
    return Renaming(text, *std::move(root)).remove(path);
}

}  // namespace autoexec::yaml
