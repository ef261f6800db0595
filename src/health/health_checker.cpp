#include "autoexec/health.hpp"

#include "health/checks.hpp"
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

using CheckFunction = std::string (*)(health::FindingList&, const HealthOptions&);

HealthCheckResult run_check(const char* name, CheckFunction check, const HealthOptions& options)
{
    return guarded(name, [&] {
        health::FindingList findings(name);
        auto message = check(findings, options);
        return std::move(findings).finish(std::move(message));
    });
}

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
#define AUTOEXEC_RUN_CHECK(name) \
    results.push_back(guarded(#name, [this] { return check_##name(); }));
    AUTOEXEC_HEALTH_CHECKS(AUTOEXEC_RUN_CHECK)
#undef AUTOEXEC_RUN_CHECK
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

#define AUTOEXEC_DEFINE_CHECK(name)                               \
    HealthCheckResult HealthChecker::check_##name() const         \
    {                                                             \
        return run_check(#name, &health::check_##name, options_); \
    }
AUTOEXEC_HEALTH_CHECKS(AUTOEXEC_DEFINE_CHECK)
#undef AUTOEXEC_DEFINE_CHECK

}  // namespace autoexec::inline v1
