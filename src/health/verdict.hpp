#pragma once

#include "autoexec/health.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace autoexec::health {

/// What one check finds, problem by problem.
class Verdict {
public:
    explicit Verdict(std::string name) : name_(std::move(name)) {}

    void degraded(std::string problem, std::string remedy);
    void unhealthy(std::string problem, std::string remedy);

    /// All that was found so far is unhealthy: nothing is left that works.
    void worsen();

    [[nodiscard]] boost::json::object& details() noexcept { return details_; }

    /// The message is the first of the worst problems, or `otherwise` if there is none.
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

/// A path as it can stand in JSON.
std::string shown(const std::filesystem::path& path);

/// `1 worktree`, `2 worktrees`
std::string count_of(std::size_t count, std::string_view thing);

}  // namespace autoexec::health
