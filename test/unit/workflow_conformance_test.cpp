#include "autoexec/workflow.hpp"
#include "workflow/definition/roles.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

using namespace autoexec;
namespace fs = std::filesystem;

namespace {

// A table of presets; and steps that stand where nobody reads them.
constexpr std::array<std::string_view, 2> no_workflows{"workflow-presets", "brownfield-analysis"};

bool must_be_refused(const std::string& name)
{
    return std::any_of(no_workflows.begin(), no_workflows.end(),
                       [&](std::string_view part) { return name.find(part) != std::string::npos; });
}

void check_places(const std::vector<Diagnostic>& diagnostics, const std::string& path)
{
    for (const auto& d : diagnostics) {
        CAPTURE(to_string(d));
        CHECK(d.path == path);
        CHECK(d.line > 0);
        CHECK(d.column > 0);
    }
}

}  // namespace

TEST_SUITE_BEGIN("workflow reader");

TEST_CASE("each workflow of the original system loads, or is refused with its reason")
{
    const char* folder = std::getenv("AUTOEXEC_CONFORMANCE_DATA");
    if (!folder) {
        MESSAGE("skipped: AUTOEXEC_CONFORMANCE_DATA is not set");
        return;
    }
    std::size_t refused = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(folder) / "workflows")) {
        const auto path = entry.path().string();
        CAPTURE(path);
        const auto loaded = load_workflow(path);
        const bool refuse = must_be_refused(entry.path().filename().string());
        refused += refuse;
        CHECK_MESSAGE(loaded.workflow.has_value() == !refuse, to_string(loaded.errors));
        CHECK(loaded.errors.empty() == !refuse);
        if (loaded.workflow)
            for (const auto& step : loaded.workflow->steps) {
                CAPTURE(step.agent);
                CHECK(workflow::is_known_role(step.agent));
            }
        check_places(loaded.errors, path);
        check_places(loaded.warnings, path);
    }
    CHECK(refused == no_workflows.size());
}

TEST_SUITE_END();
