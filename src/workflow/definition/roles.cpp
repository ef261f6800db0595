#include "workflow/definition/roles.hpp"

#include <algorithm>
#include <array>

namespace autoexec::workflow {
namespace {

constexpr std::array<std::string_view, 17> roles{
    "analyst",  "architect", "debugger",    "designer", "developer", "documenter",
    "enhancer", "evaluator", "implementer", "improver", "ops",       "orchestrator",
    "planner",  "quality",   "reviewer",    "tester",   "testing"};

char lower_char(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

bool is_known_role(std::string_view name)
{
    return std::any_of(roles.begin(), roles.end(), [name](std::string_view role) {
        return std::equal(role.begin(), role.end(), name.begin(), name.end(),
                          [](char a, char b) { return a == lower_char(b); });
    });
}

}  // namespace autoexec::workflow
