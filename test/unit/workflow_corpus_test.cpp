#include "autoexec/workflow.hpp"
#include "support/corpus.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

using namespace autoexec;
using namespace autoexec::test;
namespace fs = std::filesystem;

namespace {

const fs::path corpus = fs::path(AUTOEXEC_SOURCE_DIR) / "test/data/workflow";

// By place; of two at one place the error first.
std::string what_is_said(const LoadedWorkflow& loaded)
{
    auto all = loaded.errors;
    all.insert(all.end(), loaded.warnings.begin(), loaded.warnings.end());
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return described(all);
}

}  // namespace

TEST_SUITE_BEGIN("workflow reader");

TEST_CASE("problems of a workflow are reported with place and hint")
{
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(corpus)) {
        if (entry.path().extension() != ".txt") continue;
        CAPTURE(entry.path().filename().string());
        for (const auto& broken : read_corpus(entry.path())) {
            CAPTURE(broken.title);
            const auto loaded = parse_workflow(broken.text, "workflow.yaml");
            CHECK(!broken.expected.empty());
            CHECK(what_is_said(loaded) == broken.expected);
            CHECK(loaded.workflow.has_value() == loaded.errors.empty());
            ++count;
        }
    }
    CHECK(count >= 110);
}

TEST_SUITE_END();
