#include "workflow/definition/roles.hpp"

#include "text/text.hpp"

#include <algorithm>
#include <array>

namespace autoexec::workflow {
namespace {

constexpr std::array<std::string_view, 17> roles{
    "analyst",  "architect", "debugger",    "designer", "developer", "documenter",
    "enhancer", "evaluator", "implementer", "improver", "ops",       "orchestrator",
    "planner",  "quality",   "reviewer",    "tester",   "testing"};

}  // namespace

bool is_known_role(std::string_view name)
{
    return std::ranges::count(roles, text::lower_case(name)) > 0;
}

}  // namespace autoexec::workflow
