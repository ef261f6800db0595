#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <string_view>

namespace fs = std::filesystem;

namespace {

// The check of that name in `autoexec health`, which starts nothing.
constexpr std::array<std::string_view, 3> harmless = {
    "FindingList findings(\"git\");", "{\"git\", &HealthChecker::check_git},", "guarded(\"git\", "};

bool is_harmless(std::string_view line)
{
    for (const auto known : harmless)
        if (line.find(known) != std::string_view::npos) return true;
    return false;
}

// `"git"` or a path to it as a whole string, or at the start of a command line of a shell.
bool names_git(const std::string& line)
{
    static const std::regex pattern(R"re("([^" ]*/)?git"|(system|popen|exec[lv]p?e?) *\("git )re");
    return std::regex_search(line, pattern);
}

}  // namespace

TEST_SUITE_BEGIN("git_door");

TEST_CASE("git is started in one folder of the sources only")
{
    const fs::path sources = fs::path(AUTOEXEC_SOURCE_DIR) / "src";
    std::size_t inside = 0;
    for (const auto& file : fs::recursive_directory_iterator(sources)) {
        if (!file.is_regular_file()) continue;
        const auto path = file.path().lexically_relative(sources);
        const bool is_git_folder = *path.begin() == "git";
        std::ifstream text(file.path());
        int number = 0;
        for (std::string line; std::getline(text, line);) {
            ++number;
            if (!names_git(line)) continue;
            if (is_git_folder) ++inside;
            CHECK_MESSAGE((is_git_folder || is_harmless(line)), path.string(), ":", number,
                          ": start git through src/git/git.hpp");
        }
    }
    CHECK(inside == 2);  // the caller, and the question for its version
}

TEST_SUITE_END();
