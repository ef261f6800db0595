#include "autoexec/config.hpp"
#include "support/corpus.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

using namespace autoexec;
using namespace autoexec::test;
namespace fs = std::filesystem;

namespace {

const fs::path corpus = fs::path(AUTOEXEC_SOURCE_DIR) / "test/data/config";

std::string what_is_said(const std::string& text, const char* file)
{
    TemporaryFolder project;
    write_file(project / ".tapps-agents" / file, text);
    AutoExecutionConfigManager manager({}, project.path());
    manager.set_environment({});
    (void)manager.load(false);
    return described(manager.diagnostics());
}

}  // namespace

TEST_SUITE_BEGIN("config");

TEST_CASE("problems of a configuration file are reported with place and hint")
{
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(corpus)) {
        if (entry.path().extension() != ".txt") continue;
        const auto* const file = entry.path().filename() == "project_file.txt"
                                     ? "config.yaml"
                                     : "auto_execution_config.yaml";
        CAPTURE(entry.path().filename().string());
        for (const auto& broken : read_corpus(entry.path())) {
            CAPTURE(broken.title);
            CHECK(!broken.expected.empty());
            CHECK(what_is_said(broken.text, file) == broken.expected);
            ++count;
        }
    }
    CHECK(count >= 150);
}

TEST_SUITE_END();
