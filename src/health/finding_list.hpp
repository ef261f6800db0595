#pragma once

#include "autoexec/health.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace autoexec::health {

/// The problems that one check has found.
class FindingList {
public:
    explicit FindingList(std::string name) : name_(std::move(name)) {}

    void degraded(std::string problem, std::string remedy);
    void unhealthy(std::string problem, std::string remedy);

    /// Makes all problems found so far `unhealthy`.
    void worsen();

    [[nodiscard]] boost::json::object& details() noexcept { return details_; }

    /// The message is the first of the worst problems, or `otherwise` if there are none.
    [[nodiscard]] HealthCheckResult finish(std::string otherwise) &&;

private:
    struct Problem {
        HealthStatus status;
        std::string text;
        std::string remedy;
    };

    std::string name_;
    std::vector<Problem> problems_;
    boost::json::object details_;
};

/// A path as valid UTF-8, for JSON.
std::string shown(const std::filesystem::path& path);

}  // namespace autoexec::health
