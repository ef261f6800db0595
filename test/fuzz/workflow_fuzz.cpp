#include "autoexec/workflow.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace autoexec;

namespace {

void must(bool holds)
{
    if (!holds) std::abort();
}

// An end of file stands on the line behind the last newline.
void check_places(const std::vector<Diagnostic>& diagnostics, std::string_view text)
{
    const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
    int before = 0;
    for (const auto& d : diagnostics) {
        must(d.line >= before && d.line <= lines && d.column >= 0);
        must(!d.message.empty());
        before = d.line;
    }
    (void)to_string(diagnostics);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto loaded = parse_workflow(text, "workflow.yaml");
    must(loaded.workflow.has_value() == loaded.errors.empty());
    check_places(loaded.errors, text);
    check_places(loaded.warnings, text);
    if (!loaded.workflow) return 0;

    must(!loaded.workflow->id.empty() && !loaded.workflow->steps.empty());
    must(check_workflow(*loaded.workflow).empty());
    must(loaded.workflow->hash.size() == 64);
    return 0;
}
