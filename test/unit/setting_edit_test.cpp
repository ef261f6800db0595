#include "config/setting_edit.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace autoexec;
using namespace autoexec::config;

namespace {

const SettingsTable table;

const Setting& setting(std::string_view key)
{
    std::string problem;
    const auto* const found = find_setting(table, key, problem);
    REQUIRE_MESSAGE(found != nullptr, problem);
    return *found;
}

std::string problem_of(std::string_view key)
{
    std::string problem;
    CHECK(find_setting(table, key, problem) == nullptr);
    return problem;
}

std::string set(const std::string& text, std::string_view key, std::string_view value)
{
    yaml::Report report("file", text);
    const auto changed = set_setting(text, setting(key), value, report);
    CHECK(report.failed() == !changed.has_value());
    return changed.value_or("refused: " + to_string(report.take_errors()));
}

std::string unset(const std::string& text, std::string_view key)
{
    yaml::Report report("file", text);
    const auto changed = unset_setting(text, setting(key), report);
    CHECK(report.failed() == !changed.has_value());
    return changed.value_or("refused: " + to_string(report.take_errors()));
}

}  // namespace

TEST_SUITE_BEGIN("setting edit");

TEST_CASE("a setting is found by its key, and a wrong key is answered with the right one")
{
    CHECK(setting("retry.max_attempts").key == "retry.max_attempts");
    CHECK(problem_of("retry.max_attempt")
              .starts_with(
                  "unknown setting 'retry.max_attempt'. Did you mean 'retry.max_attempts'?"));
    CHECK(problem_of("max_attempts").find("Did you mean 'retry.max_attempts'?") !=
          std::string::npos);
    CHECK(problem_of("retry").starts_with("'retry' is a section; its settings are retry."));
    CHECK(problem_of("") == "unknown setting ''; see autoexec config show");
}

TEST_CASE("comments, order and line ends stay when a setting is set")
{
    const std::string text =
        "# ours\r\nauto_execution:\r\n  retry:  # often\r\n    max_attempts: 3  # enough\r\n"
        "  durability: power\r\nother: 1\r\n";
    CHECK(set(text, "retry.max_attempts", "5") ==
          "# ours\r\nauto_execution:\r\n  retry:  # often\r\n    max_attempts: 5  # enough\r\n"
          "  durability: power\r\nother: 1\r\n");
    const auto longer = set(text, "limits.max_parallel", "2");
    CHECK(longer.find("max_parallel: 2\r\n") != std::string::npos);
    CHECK(longer.find("other: 1\r\n") != std::string::npos);
}

TEST_CASE("values are written by the type of the setting")
{
    CHECK(set("auto_execution: {}\n", "enabled", "true") == "auto_execution:\n  enabled: true\n");
    CHECK(set("", "durability", "none") ==
          "auto_execution:\n  version: \"1.1\"\n  durability: \"none\"\n");
    CHECK(set("auto_execution:\n  debug: no\n", "debug", "it's: #\n").find("debug: ") !=
          std::string::npos);
}

TEST_CASE("what was set is removed, with a section that becomes empty")
{
    const auto text = set("# ours\nauto_execution:\n  debug: true\n", "retry.max_attempts", "5");
    CHECK(unset(text, "retry.max_attempts") == "# ours\nauto_execution:\n  debug: true\n");
    CHECK(unset("auto_execution:\n  debug: true\n", "retry.max_attempts") ==
          "auto_execution:\n  debug: true\n");
    CHECK(unset("", "debug").empty());
}

TEST_CASE("a file that is no mapping is refused")
{
    CHECK(set("auto_execution: [\n", "debug", "true").starts_with("refused: file:"));
    CHECK(set("auto_execution: 3\n", "debug", "true").starts_with("refused: "));
    CHECK(unset("auto_execution: [\n", "debug").starts_with("refused: file:"));
}

TEST_SUITE_END();
