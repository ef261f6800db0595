#include "workflow/run/earlier_start.hpp"

#include "redaction/stages.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <string_view>
#include <variant>

namespace autoexec::workflow {
namespace {

bool has_marker(std::string_view text)
{
    return text.find(redaction::redaction_marker) != text.npos;
}

bool is_hidden(const boost::json::value& value)
{
    if (const auto* const list = value.if_array()) return std::ranges::any_of(*list, is_hidden);
    if (const auto* const object = value.if_object())
        return std::ranges::any_of(*object, [](const auto& member) {
            return has_marker(std::string_view(member.key())) || is_hidden(member.value());
        });
    return value.is_string() && has_marker(std::string_view(value.get_string()));
}

}  // namespace

const protocol::RunStarted* last_start(const RunRecord& record)
{
    const protocol::RunStarted* last = nullptr;
    for (const auto& entry : record.transitions)
        if (const auto* const start = std::get_if<protocol::RunStarted>(&entry.transition))
            last = start;
    return last;
}

std::vector<std::string> restore_values(const protocol::RunStarted& start, const Workflow& workflow,
                                        WorkflowRunOptions& options)
{
    std::vector<std::string> problems;
    for (const auto& [name, value] : start.params) {
        const bool is_known = workflow.params.contains(name) || name == "prompt";
        if (!is_known || options.params.contains(name)) continue;
        if (is_hidden(value))
            problems.push_back(fmt::format(
                "The parameter '{}' contains a secret, which is not stored: give it again.",
                std::string_view(name)));
        else
            options.params[name] = value;
    }
    for (const auto& [name, value] : start.env) {
        if (options.env.contains(name)) continue;
        if (has_marker(value))
            problems.push_back(fmt::format(
                "The variable '{}' contains a secret, which is not stored: give it again.", name));
        else
            options.env[name] = value;
    }
    return problems;
}

}  // namespace autoexec::workflow
