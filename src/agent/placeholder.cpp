#include "agent/placeholder.hpp"

#include "yaml/report.hpp"

#include <algorithm>
#include <array>

namespace autoexec::agent {
namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, 5> placeholder_names{"command", "command_file_path",
                                                            "worktree", "workflow_id", "step_id"};

}  // namespace

std::string_view name_in_braces(std::string_view text)
{
    if (!text.starts_with('{')) return {};
    const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", 1);
    if (end == text.npos || text[end] != '}') return {};
    return text.substr(1, end - 1);
}

std::optional<Placeholder> placeholder_named(std::string_view name)
{
    const auto found = std::find(placeholder_names.begin(), placeholder_names.end(), name);
    if (found == placeholder_names.end()) return std::nullopt;
    return static_cast<Placeholder>(found - placeholder_names.begin());
}

std::string_view guess_placeholder(std::string_view name)
{
    return yaml::nearest(name, placeholder_names);
}

std::string placeholder_list()
{
    std::string list;
    for (const auto name : placeholder_names)
        list.append(list.empty() ? "{" : ", {").append(name) += '}';
    return list;
}

}  // namespace autoexec::agent
