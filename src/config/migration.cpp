#include "config/migration.hpp"

#include "config/layer.hpp"
#include "yaml/yaml_edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace autoexec::config {
namespace {

constexpr std::size_t context = 3;  // lines around a difference

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

}  // namespace

// All versions up to ours have the same settings, so what is missing is the version.
std::optional<std::string> migrate(std::string_view text, yaml::Report& report)
{
    const SettingsTable table;
    std::vector<LayerValue> values;
    read_own_file({table, {ConfigLayer::auto_execution, report.path()}, report, values}, text);
    if (report.failed()) return std::nullopt;
    const auto root = yaml::parse_yaml(text, report);
    const auto* const section = root ? root->find(own_section) : nullptr;
    const auto* const version = section != nullptr ? section->find("version") : nullptr;
    if (section == nullptr || (version != nullptr && version->text == current_version))
        return std::string(text);
    const std::array<std::string, 2> path{std::string(own_section), "version"};
    return yaml::set_in_yaml(text, path, yaml::make_scalar(std::string(current_version), false));
}

std::string difference(std::string_view before, std::string_view after)
{
    const auto a = lines_of(before);
    const auto b = lines_of(after);
    const auto [first, first_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (first == a.end() && first_b == b.end()) return {};
    const auto same = static_cast<std::size_t>(first - a.begin());
    const auto last = std::mismatch(a.rbegin(), a.rend() - static_cast<std::ptrdiff_t>(same),
                                    b.rbegin(), b.rend() - static_cast<std::ptrdiff_t>(same));
    const auto tail = static_cast<std::size_t>(last.first - a.rbegin());

    const auto from = same - std::min(same, context);
    const auto rest = std::min(tail, context);
    auto text = fmt::format("@@ -{},{} +{},{} @@\n", from + 1, a.size() - tail + rest - from,
                            from + 1, b.size() - tail + rest - from);
    for (auto i = from; i < same; ++i) text += fmt::format(" {}\n", a[i]);
    for (auto i = same; i < a.size() - tail; ++i) text += fmt::format("-{}\n", a[i]);
    for (auto i = same; i < b.size() - tail; ++i) text += fmt::format("+{}\n", b[i]);
    for (auto i = a.size() - tail; i < a.size() - tail + rest; ++i)
        text += fmt::format(" {}\n", a[i]);
    return text;
}

}  // namespace autoexec::config
