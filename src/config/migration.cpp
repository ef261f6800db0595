#include "config/migration.hpp"

#include "config/layer.hpp"
#include "config/renames.hpp"
#include "yaml/yaml_edit.hpp"
#include "yaml/yaml_rename.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace autoexec::config {
namespace {

const yaml::YamlNode* find(const yaml::YamlNode& root, const std::vector<std::string>& path)
{
    const auto* node = &root;
    for (const auto& key : path) {
        node = node->kind == yaml::YamlNode::Kind::mapping ? node->find(key) : nullptr;
        if (node == nullptr) return nullptr;
    }
    return node;
}

/// The text of a file while it is migrated.
class Migration {
public:
    explicit Migration(std::string_view text) : text_(text) { parse(); }

    std::optional<std::string> run()
    {
        if (find(root_, path_in_file({})) == nullptr) return text_;
        for (const auto& rename : renames())
            if (has(rename.before) && !rename_section(rename) && !rename_key(rename))
                return std::nullopt;
        const auto* const version = find(root_, path_in_file("version"));
        if (version != nullptr && version->text == current_version) return text_;
        return yaml::set_in_yaml(text_, path_in_file("version"),
                                 yaml::make_scalar(std::string(current_version), false));
    }

private:
    [[nodiscard]] bool has(std::string_view key) const
    {
        return find(root_, path_in_file(key)) != nullptr;
    }

    void parse()
    {
        yaml::Report ignored("", text_);
        root_ = yaml::parse_yaml(text_, ignored).value_or(yaml::YamlNode{});
    }

    bool accept(std::optional<std::string> changed)
    {
        if (!changed) return false;
        text_ = *std::move(changed);
        parse();
        return true;
    }

    // A whole section is renamed where it is, if all of its keys belong in the new one.
    bool rename_section(const Rename& rename)
    {
        const auto before = section_of(rename.before);
        const auto now = section_of(rename.now);
        if (before == now || has(now)) return false;
        const auto* const section = find(root_, path_in_file(before));
        const auto belongs = [&](const yaml::YamlEntry& entry) {
            const auto* const other = find_rename(fmt::format("{}.{}", before, entry.key));
            return other != nullptr && section_of(other->now) == now;
        };
        if (!std::all_of(section->entries.begin(), section->entries.end(), belongs)) return false;
        const auto entries = section->entries;
        if (!accept(yaml::rename_in_yaml(text_, path_in_file(before), path_in_file(now))))
            return false;
        for (const auto& entry : entries) {
            const auto* const other = find_rename(fmt::format("{}.{}", before, entry.key));
            if (entry.key != name_of(other->now))
                (void)accept(
                    yaml::rename_in_yaml(text_, path_in_file(fmt::format("{}.{}", now, entry.key)),
                                         path_in_file(other->now)));
        }
        return true;
    }

    // Where both names are set, the old one has no effect.
    bool rename_key(const Rename& rename)
    {
        return accept(has(rename.now) ? yaml::remove_in_yaml(text_, path_in_file(rename.before))
                                      : yaml::rename_in_yaml(text_, path_in_file(rename.before),
                                                             path_in_file(rename.now)));
    }

    std::string text_;
    yaml::YamlNode root_;
};

std::vector<std::string_view> lines_of(std::string_view text)
{
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        lines.push_back(line);
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return lines;
}

/// A line of a difference: ' ' both have it, '-' only the first, '+' only the second.
struct DiffLine {
    char mark;
    std::string_view text;
};

// By the longest common subsequence. Its table is bounded; larger texts differ as a whole.
void append_difference(std::span<const std::string_view> a, std::span<const std::string_view> b,
                       std::vector<DiffLine>& lines)
{
    constexpr std::size_t max_cells = 4'000'000;
    const auto columns = b.size() + 1;
    if (a.size() >= max_cells / columns) {
        for (const auto line : a) lines.push_back({'-', line});
        for (const auto line : b) lines.push_back({'+', line});
        return;
    }
    // The length of the longest common subsequence of the rests from i and k.
    std::vector<std::uint32_t> common((a.size() + 1) * columns);
    for (auto i = a.size(); i-- > 0;)
        for (auto k = b.size(); k-- > 0;)
            common[i * columns + k] =
                a[i] == b[k] ? common[(i + 1) * columns + k + 1] + 1
                             : std::max(common[(i + 1) * columns + k], common[i * columns + k + 1]);
    std::size_t i = 0;
    std::size_t k = 0;
    while (i < a.size() || k < b.size()) {
        if (i < a.size() && k < b.size() && a[i] == b[k]) {
            lines.push_back({' ', a[i]});
            ++i, ++k;
        } else if (k == b.size() ||
                   (i < a.size() && common[(i + 1) * columns + k] >= common[i * columns + k + 1])) {
            lines.push_back({'-', a[i++]});
        } else {
            lines.push_back({'+', b[k++]});
        }
    }
}

std::vector<DiffLine> diff_lines(std::span<const std::string_view> a,
                                 std::span<const std::string_view> b)
{
    const auto first = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    const auto same = static_cast<std::size_t>(first.first - a.begin());
    const auto max_tail = std::min(a.size(), b.size()) - same;
    std::size_t tail = 0;
    while (tail < max_tail && a[a.size() - tail - 1] == b[b.size() - tail - 1]) ++tail;

    std::vector<DiffLine> lines;
    for (const auto line : a.first(same)) lines.push_back({' ', line});
    append_difference(a.subspan(same, a.size() - same - tail),
                      b.subspan(same, b.size() - same - tail), lines);
    for (const auto line : a.last(tail)) lines.push_back({' ', line});
    return lines;
}

// `@@ -1,4 +1,5 @@` and the lines from `first` to `last`.
std::string hunk(const std::vector<DiffLine>& lines, std::size_t first, std::size_t last)
{
    std::array<std::size_t, 2> start{1, 1};
    std::array<std::size_t, 2> count{0, 0};
    std::string text;
    for (std::size_t i = 0; i < last; ++i) {
        auto& counters = i < first ? start : count;
        if (lines[i].mark != '+') ++counters[0];
        if (lines[i].mark != '-') ++counters[1];
        if (i >= first) text += fmt::format("{}{}\n", lines[i].mark, lines[i].text);
    }
    return fmt::format("@@ -{},{} +{},{} @@\n{}", start[0], count[0], start[1], count[1], text);
}

}  // namespace

std::optional<std::string> migrate(std::string_view text, yaml::Report& report)
{
    const SettingsTable table;
    std::vector<LayerValue> values;
    read_own_file({table, {ConfigLayer::auto_execution, report.path()}, report, values}, text);
    if (report.failed()) return std::nullopt;
    auto migrated = Migration(text).run();
    if (!migrated) report.error({}, "The file cannot be migrated", "Rename the keys by hand.");
    return migrated;
}

std::string difference(std::string_view before, std::string_view after)
{
    constexpr std::size_t context = 3;  // lines around a change
    const auto lines = diff_lines(lines_of(before), lines_of(after));
    const auto is_change = [](const DiffLine& line) { return line.mark != ' '; };
    std::string text;
    auto next = std::find_if(lines.begin(), lines.end(), is_change);
    while (next != lines.end()) {
        const auto first = static_cast<std::size_t>(next - lines.begin());
        auto end = next;
        do {  // changes whose contexts touch share a hunk
            end = std::find_if_not(next, lines.end(), is_change);
            next = std::find_if(end, lines.end(), is_change);
        } while (next != lines.end() && next - end <= static_cast<std::ptrdiff_t>(2 * context));
        const auto last = static_cast<std::size_t>(end - lines.begin());
        text +=
            hunk(lines, first - std::min(first, context), std::min(lines.size(), last + context));
    }
    return text;
}

}  // namespace autoexec::config
