#include "executor/agent_artifacts.hpp"

#include "protocol/expected_artifacts.hpp"
#include "redaction/agent_text.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

namespace autoexec::inline v1 {
namespace {

constexpr std::size_t max_outside_warnings = 10;
constexpr std::size_t max_name_in_warning = 200;

}  // namespace

void set_artifacts(const Redactor& redactor, const std::vector<std::string>& named,
                   ExecutionResult& result)
{
    result.artifacts.clear();
    std::size_t inside = 0;
    std::size_t outside = 0;
    for (const auto& path : named) {
        const auto beneath = protocol::artifact_path(path, result.worktree);
        if (beneath && ++inside <= max_artifacts)
            result.artifacts.push_back(agent_text(redactor, *beneath, max_artifact_name));
        else if (!beneath && ++outside <= max_outside_warnings)
            result.warnings.push_back(
                fmt::format("The agent names an artifact outside the worktree: {}",
                            text::printable(agent_text(redactor, path, max_name_in_warning))));
    }
    if (outside > max_outside_warnings)
        result.warnings.push_back(
            fmt::format("The agent names {} more artifacts outside the worktree.",
                        outside - max_outside_warnings));
    if (inside > max_artifacts)
        result.warnings.push_back(fmt::format(
            "The agent names {} artifacts; the first {} are kept.", inside, max_artifacts));
}

}  // namespace autoexec::inline v1
