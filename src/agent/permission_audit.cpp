#include "agent/permission_audit.hpp"

#include "redaction/agent_text.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <utility>

namespace autoexec::agent {
namespace {

constexpr std::size_t max_decisions = 50;
constexpr std::size_t max_audited_text = 1000;
constexpr std::size_t max_audited_paths = 10;

}  // namespace

void PermissionAudit::record(const acp::ToolCall& call, bool allow, const std::string& rule)
{
    if (++decisions_ > max_decisions) {
        more_allowed_ += allow ? 1 : 0;
        return;
    }
    const auto text = [&redactor = *options_.redactor](const std::string& words) {
        return agent_text(redactor, words, max_audited_text);
    };
    boost::json::object details{{"decision", allow ? "allowed" : "denied"},
                                {"rule", rule},
                                {"kind", text(call.kind)},
                                {"title", text(call.title)}};
    if (!call.command.empty()) details["command"] = text(call.command);
    if (!call.paths.empty()) {
        boost::json::array paths;
        for (std::size_t i = 0; i < std::min(call.paths.size(), max_audited_paths); ++i)
            paths.emplace_back(text(call.paths[i]));
        details["paths"] = std::move(paths);
    }
    publish(std::move(details));
}

void PermissionAudit::finish()
{
    if (decisions_ <= max_decisions) return;
    const auto more = decisions_ - max_decisions;
    publish({{"decision", "more"}, {"allowed", more_allowed_}, {"denied", more - more_allowed_}});
}

void PermissionAudit::publish(boost::json::object details)
{
    auto event = attempt_;
    event.type = EventType::permission_decided;
    event.time = options_.clock->system_now();
    event.details = std::move(details);
    for (const auto& sink : options_.sinks) sink->publish(event);
}

}  // namespace autoexec::agent
