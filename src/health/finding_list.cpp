#include "health/finding_list.hpp"

#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <utility>

namespace autoexec::health {
namespace {

constexpr std::size_t max_listed = 100;

}  // namespace

void FindingList::degraded(std::string problem, std::string remedy)
{
    problems_.push_back({HealthStatus::degraded, std::move(problem), std::move(remedy)});
}

void FindingList::unhealthy(std::string problem, std::string remedy)
{
    problems_.push_back({HealthStatus::unhealthy, std::move(problem), std::move(remedy)});
}

void FindingList::worsen()
{
    for (auto& problem : problems_) problem.status = HealthStatus::unhealthy;
}

HealthCheckResult FindingList::finish(std::string otherwise) &&
{
    HealthCheckResult result;
    result.name = std::move(name_);
    result.details = std::move(details_);
    const auto worst =
        std::max_element(problems_.begin(), problems_.end(),
                         [](const Problem& a, const Problem& b) { return a.status < b.status; });
    if (worst == problems_.end()) {
        result.message = text::valid_utf8(otherwise);
        return result;
    }
    result.status = worst->status;
    result.message = text::valid_utf8(worst->text);
    result.remedy = text::valid_utf8(worst->remedy);
    if (problems_.size() == 1) return result;

    result.message += fmt::format(" ({} more)", problems_.size() - 1);
    auto& list = result.details["problems"].emplace_array();
    for (const auto& problem : problems_) {
        if (list.size() == max_listed) break;
        list.emplace_back(text::valid_utf8(problem.text));
    }
    return result;
}

std::string shown(const std::filesystem::path& path)
{
    return text::valid_utf8(path.string());
}

}  // namespace autoexec::health
