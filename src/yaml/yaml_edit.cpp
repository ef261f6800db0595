#include "yaml/yaml_edit.hpp"

#include <boost/algorithm/string/replace.hpp>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace autoexec::yaml {
namespace {

constexpr std::size_t edit_indent = 2;  // as in yaml_write.cpp

/// The entries that a path leads through, before the first that does not exist.
using Trail = std::vector<const YamlEntry*>;

Trail follow(const YamlNode& root, YamlPath path)
{
    Trail trail;
    const auto* node = &root;
    for (const auto& key : path) {
        const auto* const entry = node->find_entry(key);
        if (entry == nullptr) break;
        trail.push_back(entry);
        node = &entry->value;
    }
    return trail;
}

std::optional<YamlNode> parse(std::string_view text)
{
    Report report("", text);
    auto root = parse_yaml(text, report);
    if (report.failed()) return std::nullopt;
    return root;
}

int last_line(const YamlNode& node)
{
    int line = node.at.line;
    for (const auto& item : node.items) line = std::max(line, last_line(item));
    for (const auto& entry : node.entries)
        line = std::max({line, entry.at.line, last_line(entry.value)});
    return line;
}

int last_line(const YamlEntry& entry)
{
    return std::max(entry.at.line, last_line(entry.value));
}

std::size_t margin_of(const YamlEntry& entry)
{
    return static_cast<std::size_t>(std::max(entry.at.column, 1) - 1);
}

bool set_in_tree(YamlNode& node, YamlPath path, const YamlNode& value)
{
    if (path.empty()) {
        if (node.kind == YamlNode::Kind::mapping || node.kind == YamlNode::Kind::sequence)
            return false;
        node = value;
        return true;
    }
    if (node.kind == YamlNode::Kind::null) node.kind = YamlNode::Kind::mapping;
    if (node.kind != YamlNode::Kind::mapping) return false;
    auto entry = std::ranges::find(node.entries, path.front(), &YamlEntry::key);
    if (entry == node.entries.end()) entry = node.entries.insert(entry, {path.front(), {}, {}});
    return set_in_tree(entry->value, path.subspan(1), value);
}

// The entry must exist. Mappings that become empty are removed, too.
void remove_from_tree(YamlNode& node, YamlPath path)
{
    const auto entry = std::ranges::find(node.entries, path.front(), &YamlEntry::key);
    if (path.size() > 1) remove_from_tree(entry->value, path.subspan(1));
    if (path.size() == 1 || entry->value.entries.empty()) node.entries.erase(entry);
}

// `retry:`, `  max_attempts: 5` for keys that do not exist yet.
std::string new_lines(YamlPath path, const YamlNode& value, std::size_t indentation)
{
    YamlNode node;
    (void)set_in_tree(node, path, value);
    return write_yaml(node, indentation);
}

std::string scalar_text(const YamlNode& scalar)
{
    return scalar.quoted ? quote_yaml(scalar.text) : scalar.text;
}

// `retry: {max_attempts: 5}`
std::string in_braces(YamlPath path, const YamlNode& value)
{
    if (path.size() == 1) return path.front() + ": " + scalar_text(value);
    return path.front() + ": {" + in_braces(path.subspan(1), value) + "}";
}

// May take a `#` of a block of text for a comment.
bool has_comment(std::string_view text)
{
    constexpr std::string_view before_token = " \t\n,[{";
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i > 0 && before_token.find(text[i - 1]) == before_token.npos) continue;
        if (text[i] == '#') return true;
        const auto quoted = quoted_size(text.substr(i));
        if (quoted > 0 && quoted != text.npos) i += quoted - 1;
    }
    return false;
}

std::string indented(std::string_view text, std::size_t from, std::size_t to)
{
    std::string out;
    while (!text.empty()) {
        const auto line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
        const auto spaces = std::min({line.find_first_not_of(' '), from, line.size()});
        out.append(to, ' ').append(line.substr(spaces));
        text.remove_prefix(line.size());
    }
    return out;
}

struct Replacement {
    std::size_t from;
    std::size_t size;
    std::string with;
};

// Of two at the same offset, the second is inserted before the first.
std::string replaced(std::string_view text, std::vector<Replacement> changes)
{
    // The last one first, so that the offsets of the others stay right.
    std::ranges::stable_sort(changes, std::greater{}, &Replacement::from);
    std::string out(text);
    for (auto& [from, size, with] : changes) {
        // Whole lines are inserted; the last line of a file can lack its newline.
        if (with.ends_with('\n') && from > 0 && out[from - 1] != '\n') with.insert(0, 1, '\n');
        out.replace(from, size, with);
    }
    return out;
}

/// The changes of one text. Each tries to change only some lines; if the result does not have the
/// wanted content, the section is written again.
class Edit {
public:
    Edit(std::string_view text, const YamlNode& root) : text_(text), root_(root) {}

    std::optional<std::string> set(YamlPath path, const YamlNode& value) const
    {
        auto wanted = root_;
        if (!set_in_tree(wanted, path, value)) return std::nullopt;
        for (const auto& way : ways_to_set(path, value))
            if (auto changed = checked({way}, wanted)) return changed;
        if (auto changed = rewritten(wanted, path.front())) return changed;
        return checked({inserted_in_braces(path, value)}, wanted);
    }

    std::optional<std::string> rename(YamlPath from, YamlPath to) const
    {
        const auto source = follow(root_, from);
        if (source.size() < from.size() || follow(root_, to).size() == to.size())
            return std::nullopt;
        auto wanted = root_;
        remove_from_tree(wanted, from);
        if (!set_in_tree(wanted, to, source.back()->value)) return std::nullopt;
        const bool stays = std::ranges::equal(from.first(from.size() - 1), to.first(to.size() - 1));
        auto changes = stays ? std::vector{renamed(*source.back(), to.back())} : moved(source, to);
        if (auto changed = checked(std::move(changes), wanted)) return changed;
        return rewritten(wanted, from.front());
    }

    std::optional<std::string> remove(YamlPath path) const
    {
        const auto trail = follow(root_, path);
        if (trail.size() < path.size()) return std::nullopt;
        auto wanted = root_;
        remove_from_tree(wanted, path);
        auto changes = without_empty_section(trail);
        changes.push_back(
            lines(trail.back()->at.line, last_line(*trail.back()), comment_of(*trail.back())));
        if (auto changed = checked(std::move(changes), wanted)) return changed;
        return rewritten(wanted, path.front());
    }

private:
    [[nodiscard]] std::size_t start_of(int line) const { return offset_of(text_, {line, 1}); }

    [[nodiscard]] Replacement lines(int first, int last, std::string with) const
    {
        return {start_of(first), start_of(last + 1) - start_of(first), std::move(with)};
    }

    // The one that touches least first.
    [[nodiscard]] std::vector<Replacement> ways_to_set(YamlPath path, const YamlNode& value) const
    {
        const auto trail = follow(root_, path);
        const auto& node = trail.empty() ? root_ : trail.back()->value;
        const auto rest = path.subspan(trail.size());
        if (!node.entries.empty()) {
            const auto& first = node.entries.front();
            const auto added = new_lines(rest, value, margin_of(first));
            return {{start_of(last_line(node) + 1), 0, added}, {start_of(first.at.line), 0, added}};
        }
        if (trail.empty()) return {{text_.size(), 0, new_lines(path, value, 0)}};
        const auto& entry = *trail.back();
        if (!rest.empty())
            return {{start_of(entry.at.line + 1), 0,
                     new_lines(rest, value, margin_of(entry) + edit_indent)}};
        if (node.kind == YamlNode::Kind::null) {
            const auto colon = text_.find(':', offset_of(text_, entry.at) + entry.key.size());
            return {{std::min(colon, text_.size() - 1) + 1, 0, " " + scalar_text(value)}};
        }
        const auto from = offset_of(text_, node.at);
        const auto size = node.quoted ? quoted_size(text_.substr(from)) : node.text.size();
        return {{from, size, scalar_text(value)}};
    }

    [[nodiscard]] Replacement inserted_in_braces(YamlPath path, const YamlNode& value) const
    {
        const auto trail = follow(root_, path);
        const auto& node = trail.empty() ? root_ : trail.back()->value;
        const auto rest = path.subspan(trail.size());
        const auto brace = offset_of(text_, node.at);
        if (rest.empty() || !text_.substr(brace).starts_with('{')) return {};
        return {brace + 1, 0, in_braces(rest, value) + (node.entries.empty() ? "" : ", ")};
    }

    [[nodiscard]] Replacement renamed(const YamlEntry& entry, const std::string& now) const
    {
        const auto from = offset_of(text_, entry.at);
        const auto quoted = quoted_size(text_.substr(from));
        return {from, quoted > 0 ? quoted : entry.key.size(), now};
    }

    // Nothing if there is no section to move from.
    [[nodiscard]] std::vector<Replacement> moved(const Trail& source, YamlPath to) const
    {
        if (source.size() < 2 || to.size() < 2) return {};
        const auto& entry = *source.back();
        const auto& old_section = *source[source.size() - 2];
        auto first = entry.at.line;
        while (first - 1 > old_section.at.line && is_comment(first - 1)) --first;
        auto removed = lines(first, last_line(entry), {});
        auto [from, size, key] = renamed(entry, to.back());
        auto block = replaced(text_.substr(removed.from, removed.size),
                              {{from - removed.from, size, std::move(key)}});
        if (!block.ends_with('\n')) block += '\n';

        const auto trail = follow(root_, to.first(to.size() - 1));
        const bool has_section = trail.size() == to.size() - 1;
        const auto& anchor = has_section ? *trail.back() : old_section;
        auto added = has_section ? std::string()
                                 : std::string(margin_of(anchor), ' ') + to[to.size() - 2] + ":\n";
        added += indented(block, margin_of(entry),
                          has_section && !anchor.value.entries.empty()
                              ? margin_of(anchor.value.entries.front())
                              : margin_of(anchor) + edit_indent);
        auto changes = without_empty_section(source);
        changes.push_back(std::move(removed));
        changes.push_back({start_of(last_line(anchor) + 1), 0, std::move(added)});
        return changes;
    }

    // The header of a section that loses its only entry.
    [[nodiscard]] std::vector<Replacement> without_empty_section(const Trail& trail) const
    {
        if (trail.size() < 2) return {};
        const auto& section = *trail[trail.size() - 2];
        if (section.value.entries.size() > 1) return {};
        return {lines(section.at.line, section.at.line, comment_of(section))};
    }

    [[nodiscard]] std::string_view line(int number) const
    {
        return text_.substr(start_of(number), start_of(number + 1) - start_of(number));
    }

    [[nodiscard]] bool is_comment(int number) const
    {
        const auto text = line(number);
        const auto word = text.find_first_not_of(" \t");
        return word != text.npos && text[word] == '#';
    }

    // The comment behind an entry, as a line of its own; empty if there is none.
    [[nodiscard]] std::string comment_of(const YamlEntry& entry) const
    {
        const auto text = line(entry.at.line);
        const auto hash = text.find(" #");
        if (hash == text.npos) return {};
        return std::string(margin_of(entry), ' ').append(text.substr(hash + 1));
    }

    [[nodiscard]] std::optional<std::string> checked(std::vector<Replacement> changes,
                                                     const YamlNode& wanted) const
    {
        auto changed = replaced(text_, std::move(changes));
        const auto found = parse(changed);
        if (!found || !same_content(*found, wanted)) return std::nullopt;
        return changed;
    }

    // With the section of the first key written again, or else the whole text.
    [[nodiscard]] std::optional<std::string> rewritten(const YamlNode& wanted,
                                                       const std::string& section) const
    {
        std::vector<Replacement> ways;
        YamlNode part;
        part.kind = YamlNode::Kind::mapping;
        std::ranges::copy_if(wanted.entries, std::back_inserter(part.entries),
                             [&](const YamlEntry& entry) { return entry.key == section; });
        if (const auto* const entry = root_.find_entry(section)) {
            const auto from = start_of(entry->at.line);
            const auto end = end_of_section(*entry);
            if (end >= from)
                ways.push_back(
                    {from, end - from, part.entries.empty() ? std::string() : write_yaml(part)});
        }
        ways.push_back({0, text_.size(), write_yaml(wanted)});
        for (auto& way : ways)
            if (!has_comment(text_.substr(way.from, way.size)))
                if (auto changed = checked({std::move(way)}, wanted)) return changed;
        return std::nullopt;
    }

    // The comments at the margin above the next section are not of this one.
    [[nodiscard]] std::size_t end_of_section(const YamlEntry& entry) const
    {
        const auto* const next = &entry + 1;
        const bool is_last = &entry == &root_.entries.back();
        const auto first = start_of(entry.at.line + 1);
        auto end = is_last ? text_.size() : start_of(next->at.line);
        while (end > first) {
            const auto start = text_.substr(0, end - 1).rfind('\n') + 1;  // npos + 1 is 0
            const auto text = text_.substr(start, end - start);
            if (!text.starts_with('#') && text.find_first_not_of(" \t\n") != text.npos) break;
            end = start;
        }
        return end;
    }

    std::string_view text_;
    const YamlNode& root_;
};

// Lines that all end with CRLF are changed without it.
template <class Change>
std::optional<std::string> edit(std::string_view text, Change change)
{
    auto plain = boost::replace_all_copy(std::string(text), "\r\n", "\n");
    const bool crlf = plain != text && plain.find('\r') == plain.npos &&
                      boost::replace_all_copy(plain, "\n", "\r\n") == text;
    if (!crlf) plain = text;
    const auto root = parse(plain);
    if (!root) return std::nullopt;
    std::optional<std::string> changed = change(Edit(plain, *root));
    if (crlf && changed) boost::replace_all(*changed, "\n", "\r\n");
    return changed;
}

}  // namespace

const YamlNode* find_in_yaml(const YamlNode& root, YamlPath path)
{
    const auto trail = follow(root, path);
    if (trail.size() < path.size()) return nullptr;
    return trail.empty() ? &root : &trail.back()->value;
}

std::optional<std::string> set_in_yaml(std::string_view text, YamlPath path, const YamlNode& value)
{
    return edit(text, [&](const Edit& now) { return now.set(path, value); });
}

std::optional<std::string> rename_in_yaml(std::string_view text, YamlPath from, YamlPath to)
{
    return edit(text, [&](const Edit& now) { return now.rename(from, to); });
}

std::optional<std::string> remove_in_yaml(std::string_view text, YamlPath path)
{
    return edit(text, [&](const Edit& now) { return now.remove(path); });
}

}  // namespace autoexec::yaml
