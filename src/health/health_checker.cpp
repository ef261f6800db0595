#include "autoexec/health.hpp"

#include "health/checks.hpp"
#include "health/probes.hpp"
#include "text/text.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <exception>

namespace autoexec::inline v1 {
namespace {

HealthCheckResult failed(const std::string& name, std::string_view reason)
{
    HealthCheckResult result;
    result.name = name;
    result.status = HealthStatus::unhealthy;
    result.message = "The check itself failed: " + text::valid_utf8(reason);
    result.remedy =
        "The result is unknown. Correct the problem in the message, then repeat the check.";
    return result;
}

template <class Check>
HealthCheckResult guarded(const std::string& name, const Check& check)
{
    try {
        auto result = check();
        if (result.name.empty()) result.name = name;
        return result;
    } catch (const std::exception& e) {
        return failed(name, e.what());
    } catch (...) {
        return failed(name, "an exception of an unknown type");
    }
}

using Check = HealthCheckResult (HealthChecker::*)() const;

struct NamedCheck {
    const char* name;
    Check check;
};

constexpr NamedCheck all_checks[] = {
    {"configuration", &HealthChecker::check_configuration},
    {"file_system", &HealthChecker::check_file_system},
    {"status_file_access", &HealthChecker::check_status_file_access},
    {"command_file_access", &HealthChecker::check_command_file_access},
    {"supervisor", &HealthChecker::check_supervisor},
    {"agent_programs", &HealthChecker::check_agent_programs},
    {"git", &HealthChecker::check_git},
    {"disk_space", &HealthChecker::check_disk_space},
    {"inotify", &HealthChecker::check_inotify},
    {"clock", &HealthChecker::check_clock},
    {"records", &HealthChecker::check_records},
    {"claims_and_locks", &HealthChecker::check_claims_and_locks},
    {"leftovers", &HealthChecker::check_leftovers},
    {"agents", &HealthChecker::check_agents},
};

}  // namespace

std::string_view to_string(HealthStatus status) noexcept
{
    switch (status) {
        case HealthStatus::healthy:
            return "healthy";
        case HealthStatus::degraded:
            return "degraded";
        case HealthStatus::unhealthy:
            break;
    }
    return "unhealthy";
}

boost::json::object to_json(const HealthCheckResult& result)
{
    boost::json::object o;
    o["name"] = result.name;
    o["status"] = to_string(result.status);
    o["message"] = result.message;
    o["details"] = result.details;
    o["remedy"] = result.remedy;
    return o;
}

boost::json::object to_json(std::span<const HealthCheckResult> results)
{
    boost::json::object o;
    o["overall_status"] = to_string(overall_status(results));
    auto& checks = o["checks"].emplace_array();
    for (const auto& result : results) checks.push_back(to_json(result));
    return o;
}

HealthStatus overall_status(std::span<const HealthCheckResult> results) noexcept
{
    auto worst = HealthStatus::healthy;
    for (const auto& result : results) worst = std::max(worst, result.status);
    return worst;
}

HealthChecker::HealthChecker(HealthOptions options) : options_(std::move(options))
{
    // Absolute, so that a change of the current directory does not affect later checks.
    std::error_code ec;
    auto root =
        std::filesystem::absolute(options_.project_root.empty() ? "." : options_.project_root, ec);
    if (!ec) options_.project_root = root.lexically_normal();
    options_.probes =
        health::real_where_empty(std::move(options_.probes), std::move(options_.spawner));
}

std::vector<HealthCheckResult> HealthChecker::check_all() const
{
    std::vector<HealthCheckResult> results;
    for (const auto& [name, check] : all_checks)
        results.push_back(guarded(name, [this, check = check] { return (this->*check)(); }));
    for (const auto& [name, check] : added_) results.push_back(guarded(name, check));
    return results;
}

HealthStatus HealthChecker::get_overall_status() const
{
    return overall_status(check_all());
}

void HealthChecker::add_check(std::string name, std::function<HealthCheckResult()> check)
{
    added_.emplace_back(std::move(name), std::move(check));
}

HealthCheckResult HealthChecker::check_configuration() const
{
    return guarded("configuration", [this] { return health::check_configuration(options_); });
}

HealthCheckResult HealthChecker::check_file_system() const
{
    return guarded("file_system", [this] { return health::check_file_system(options_); });
}

HealthCheckResult HealthChecker::check_status_file_access() const
{
    return guarded("status_file_access",
                   [this] { return health::check_status_file_access(options_); });
}

HealthCheckResult HealthChecker::check_command_file_access() const
{
    return guarded("command_file_access",
                   [this] { return health::check_command_file_access(options_); });
}

HealthCheckResult HealthChecker::check_supervisor() const
{
    return guarded("supervisor", [this] { return health::check_supervisor(options_); });
}

HealthCheckResult HealthChecker::check_agent_programs() const
{
    return guarded("agent_programs", [this] { return health::check_agent_programs(options_); });
}

HealthCheckResult HealthChecker::check_git() const
{
    return guarded("git", [this] { return health::check_git(options_); });
}

HealthCheckResult HealthChecker::check_disk_space() const
{
    return guarded("disk_space", [this] { return health::check_disk_space(options_); });
}

HealthCheckResult HealthChecker::check_inotify() const
{
    return guarded("inotify", [this] { return health::check_inotify(options_); });
}

HealthCheckResult HealthChecker::check_clock() const
{
    return guarded("clock", [this] { return health::check_clock(options_); });
}

HealthCheckResult HealthChecker::check_records() const
{
    return guarded("records", [this] { return health::check_records(options_); });
}

HealthCheckResult HealthChecker::check_claims_and_locks() const
{
    return guarded("claims_and_locks", [this] { return health::check_claims_and_locks(options_); });
}

HealthCheckResult HealthChecker::check_leftovers() const
{
    return guarded("leftovers", [this] { return health::check_leftovers(options_); });
}

HealthCheckResult HealthChecker::check_agents() const
{
    return guarded("agents", [this] { return health::check_agents(options_); });
}

}  // namespace autoexec::inline v1
