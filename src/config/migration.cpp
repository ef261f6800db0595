#include "config/migration.hpp"

#include "config/layer.hpp"
#include "yaml/yaml_edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace autoexec::config {
namespace {

/// The text of a file while it is migrated.
class Migration {
public:
    Migration(const SettingsTable& table, std::string_view text, yaml::Report& report)
        : table_(table), text_(text), report_(report)
    {
        parse();
    }

    std::optional<std::string> run()
    {
        if (find({}) == nullptr) return text_;
        for (const auto& s : table_.settings())
            if (!s.former.empty() && has_former(s) && !rename_section(s) && !rename_key(s))
                return std::nullopt;
        const auto* const version = find("version");
        if (version != nullptr && version->text == current_version) return text_;
        const bool done =
            accept(yaml::set_in_yaml(text_, path_in_file("version"),
                                     yaml::make_scalar(std::string(current_version), false)));
        if (!done) report_.error({}, "The file cannot be migrated", "Set the version by hand.");
        return done ? std::optional(text_) : std::nullopt;
    }

private:
    [[nodiscard]] const yaml::YamlNode* find(std::string_view key) const
    {
        return yaml::find_in_yaml(root_, path_in_file(key));
    }

    // The key, or its section if that has no keys and does not exist in this version.
    [[nodiscard]] bool has_former(const Setting& s) const
    {
        const auto section = section_of(s.former);
        const auto* const node = find(section);
        return find(s.former) != nullptr ||
               (node != nullptr && node->entries.empty() && !table_.is_section(section));
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
    bool rename_section(const Setting& s)
    {
        const auto before = section_of(s.former);
        const auto now = section_of(s.key);
        if (before == now || find(now) != nullptr) return false;
        const auto entries = find(before)->entries;
        const auto belongs = [&](const yaml::YamlEntry& entry) {
            const auto* const other = table_.find_former(fmt::format("{}.{}", before, entry.key));
            return other != nullptr && section_of(other->key) == now;
        };
        if (!std::ranges::all_of(entries, belongs) ||
            !accept(yaml::rename_in_yaml(text_, path_in_file(before), path_in_file(now))))
            return false;
        for (const auto& entry : entries) {
            const auto* const other = table_.find_former(fmt::format("{}.{}", before, entry.key));
            (void)accept(yaml::rename_in_yaml(text_,
                                              path_in_file(fmt::format("{}.{}", now, entry.key)),
                                              path_in_file(other->key)));
        }
        return true;
    }

    // Where both names are set, the old one has no effect; neither has an empty section.
    bool rename_key(const Setting& s)
    {
        const auto* const old = find(s.former);
        const auto key = old != nullptr ? s.former : section_of(s.former);
        const auto path = path_in_file(key);
        const bool removed = old == nullptr || find(s.key) != nullptr;
        if (accept(removed ? yaml::remove_in_yaml(text_, path)
                           : yaml::rename_in_yaml(text_, path, path_in_file(s.key))))
            return true;
        report_.error(find(key)->at,
                      removed ? fmt::format("'{}' cannot be removed", key)
                              : fmt::format("'{}' cannot be moved to '{}'", key, s.key),
                      "Comments within braces would be lost. Change it by hand, or write the "
                      "section without braces.");
        return false;
    }

    const SettingsTable& table_;
    std::string text_;
    yaml::Report& report_;
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
std::vector<DiffLine> diff_lines(const std::vector<std::string_view>& a,
                                 const std::vector<std::string_view>& b)
{
    constexpr std::size_t max_cells = 16'000'000;
    const auto columns = b.size() + 1;
    const bool too_large = a.size() >= max_cells / columns;
    // The length of the longest common subsequence of the rests from i and k.
    std::vector<std::uint32_t> common(too_large ? 0 : (a.size() + 1) * columns);
    for (auto i = a.size(); !too_large && i-- > 0;)
        for (auto k = b.size(); k-- > 0;)
            common[i * columns + k] =
                a[i] == b[k] ? common[(i + 1) * columns + k + 1] + 1
                             : std::max(common[(i + 1) * columns + k], common[i * columns + k + 1]);
    std::vector<DiffLine> lines;
    std::size_t i = 0;
    std::size_t k = 0;
    while (i < a.size() || k < b.size()) {
        const bool both = i < a.size() && k < b.size() && !too_large;
        if (both && a[i] == b[k]) {
            lines.push_back({' ', a[i]});
            ++i, ++k;
        } else if (i < a.size() &&
                   (!both || common[(i + 1) * columns + k] >= common[i * columns + k + 1])) {
            lines.push_back({'-', a[i++]});
        } else {
            lines.push_back({'+', b[k++]});
        }
    }
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
    return Migration(table, text, report).run();
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
