#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <sstream>
#include <string>

namespace fs = std::filesystem;

namespace {

std::string all_tests()
{
    std::string text;
    for (const auto& entry : fs::recursive_directory_iterator(AUTOEXEC_SOURCE_DIR "/test"))
        if (entry.path().extension() == ".cpp") text += autoexec::test::read_file(entry.path());
    return text;
}

}  // namespace

TEST_CASE("each test that the threat model names exists")
{
    const auto tests = all_tests();
    std::istringstream page(autoexec::test::read_file(AUTOEXEC_SOURCE_DIR "/doc/threat-model.md"));
    int named = 0;
    for (std::string line; std::getline(page, line);) {
        if (!line.starts_with("| ") || !line.ends_with("` |")) continue;
        const auto begin = line.rfind("| `") + 3;
        const auto name = line.substr(begin, line.size() - 3 - begin);
        CHECK_MESSAGE(tests.find(name) != std::string::npos, name);
        ++named;
    }
    CHECK(named > 20);
}
