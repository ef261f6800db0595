#include "health/checks.hpp"
#include "health/finding_list.hpp"
#include "records/agent_presence.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/array.hpp>

#include <string>
#include <vector>

/// Agents that serve the project as separate processes.
namespace autoexec::health {
namespace {

boost::json::object to_json(const records::AgentRecord& record)
{
    boost::json::object o;
    o["agent_id"] = record.agent_id;
    o["pid"] = record.pid;
    o["host"] = record.host;
    o["started_at"] = record.started_at;
    o["agents"] = boost::json::array(record.agents.begin(), record.agents.end());
    return o;
}

}  // namespace

HealthCheckResult check_agents(const HealthOptions& options)
{
    FindingList findings("agents");
    std::vector<std::string> running;
    auto& details = findings.details()["running"].emplace_array();
    for (const auto& [record, alive] : records::list_agents(options.project_root)) {
        if (!alive) {
            findings.degraded(
                fmt::format("An agent has died: {}.", records::describe(record)),
                "No action is needed: the next autoexec run or autoexec agent removes its record.");
            continue;
        }
        running.push_back(records::describe(record));
        details.push_back(to_json(record));
    }
    if (running.empty())
        return std::move(findings).finish(
            "No agent process is running. autoexec run starts its own agent; for autoexec run "
            "--external-agent, start one with autoexec agent.");
    return std::move(findings).finish(
        fmt::format("{} running: {}.", running.size() == 1 ? "An agent is" : "Agents are",
                    fmt::join(running, ", ")));
}

}  // namespace autoexec::health
