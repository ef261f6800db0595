#include "cli/session/audit_display.hpp"

#include "cli/session/project.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

namespace autoexec::cli {

std::string text_of(const boost::json::object& event, std::string_view key)
{
    const auto* const value = event.if_contains(key);
    if (value == nullptr || value->is_null()) return {};
    const auto* const text = value->if_string();
    return text != nullptr ? std::string(*text) : text::dump_line(*value);
}

std::string line_of(const boost::json::object& event)
{
    const auto printed = [&event](std::string_view key) {
        return text::printable(text_of(event, key));
    };
    const auto time = text::parse_iso(text_of(event, "timestamp"));
    auto line = fmt::format("{:{}}  {:21}  {:8}", time ? text::shown_time(*time) : "-",
                            text::shown_time_size, printed("event_type"),
                            short_id(printed("execution_id")));
    const auto workflow = printed("workflow_id");
    const auto step = printed("step_id");
    if (!workflow.empty() || !step.empty())
        line +=
            fmt::format("  [{}/{}]", workflow.empty() ? "-" : workflow, step.empty() ? "-" : step);
    if (const auto command = printed("command"); !command.empty()) line += "  " + command;
    if (const auto details = printed("details"); details != "{}" && !details.empty())
        line += "  " + details;
    return line;
}

}  // namespace autoexec::cli
