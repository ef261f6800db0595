#include "autoexec/config.hpp"
#include "config/layer.hpp"
#include "config/migration.hpp"
#include "config/settings.hpp"
#include "support/temporary_folder.hpp"
#include "yaml/yaml_edit.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
namespace fs = std::filesystem;

namespace {

constexpr auto own = ".tapps-agents/auto_execution_config.yaml";

struct Read {
    SettingValue value;
    ConfigOrigin origin;
    std::vector<Diagnostic> diagnostics;
};

/// A project that sets one setting by its old name.
struct RenameFixture {
    TemporaryFolder folder;
    std::vector<std::string> environment{"XDG_CONFIG_HOME=" + (folder / "user").string()};
    boost::json::object metadata;

    [[nodiscard]] AutoExecutionConfigManager make() const
    {
        AutoExecutionConfigManager manager({}, folder.path());
        manager.set_environment(environment);
        manager.set_workflow_metadata(metadata);
        return manager;
    }
    [[nodiscard]] Read read(std::string_view key) const
    {
        auto manager = make();
        manager.load();
        Read found;
        found.diagnostics = manager.diagnostics();
        for (const auto& setting : manager.settings())
            if (setting.key == key) found = {setting.value, setting.origin, found.diagnostics};
        return found;
    }
};

struct Rename {
    std::string before;
    std::string now;
};

std::vector<Rename> renames()
{
    std::vector<Rename> all;
    for (const auto& setting : config::built_in_settings())
        if (!setting.former.empty()) all.push_back({setting.former, setting.key});
    REQUIRE(all.size() == 12);
    return all;
}

// Another value than the default, in range.
SettingValue other_value(const config::Setting& setting)
{
    const auto value = setting.get(AutoExecutionConfig{});
    if (const auto* const real = std::get_if<double>(&value)) return *real + 7;
    return std::get<std::int64_t>(value) + 7;
}

std::string nested(std::string_view key, const SettingValue& value)
{
    return fmt::format("auto_execution:\n  {}:\n    {}: {}\n", config::section_of(key),
                       config::name_of(key), to_string(value));
}

std::optional<std::string> migrated(const std::string& text)
{
    yaml::Report report("file", text);
    return config::migrate(text, report);
}

// `total`, `timeouts`, `seconds` for `timeouts.total_seconds`; without the plural.
std::set<std::string> words_of(std::string_view name)
{
    std::set<std::string> words;
    std::string word;
    for (const char c : fmt::format("{}.", name)) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
            word += c;
            continue;
        }
        if (word.size() > 1 && word.ends_with('s')) word.pop_back();
        if (!word.empty()) words.insert(std::exchange(word, {}));
    }
    return words;
}

}  // namespace

TEST_SUITE_BEGIN("config");

TEST_CASE("a flag of the program has the words of its setting")
{
    for (const auto& setting : config::built_in_settings()) {
        if (setting.flags.empty()) continue;
        CAPTURE(setting.key);
        // Flags for one value.
        if (setting.key == "enabled" || setting.key == "on_busy" || setting.key == "on_input")
            continue;
        const auto flag = setting.flags.substr(setting.flags.find("--"));
        CAPTURE(flag);
        const auto words = words_of(setting.key);
        const auto used = words_of(flag);
        CHECK(std::includes(words.begin(), words.end(), used.begin(), used.end()));
    }
}

TEST_CASE("a setting is read by the name that it had in version 1.0, with a warning")
{
    const config::SettingsTable table;
    for (const auto& rename : renames()) {
        CAPTURE(rename.before);
        const auto* const setting = table.find(rename.now);
        REQUIRE(setting != nullptr);
        CHECK(table.find(rename.before) == nullptr);
        const auto value = other_value(*setting);
        const auto message = fmt::format("'{}' is now '{}'", rename.before, rename.now);
        RenameFixture f;
        const auto reads = [&](ConfigLayer layer, const std::string& said,
                               const std::string& hint) {
            const auto found = f.read(rename.now);
            CHECK(found.value == value);
            CHECK(found.origin.layer == layer);
            REQUIRE(found.diagnostics.size() == 1);
            CHECK(found.diagnostics[0].severity == Diagnostic::Severity::warning);
            CHECK(found.diagnostics[0].message == said);
            CHECK(found.diagnostics[0].hint == hint);
        };
        SUBCASE("in the project's file")
        {
            write_file(f.folder / own, nested(rename.before, value));
            reads(ConfigLayer::auto_execution, message, "Run 'autoexec config migrate'.");
        }
        SUBCASE("in the user's file")
        {
            const auto path = f.folder / "user/autoexec/config.yaml";
            write_file(path, nested(rename.before, value));
            reads(ConfigLayer::user_file, message,
                  fmt::format("Run 'autoexec config migrate {}'.", path.string()));
        }
        SUBCASE("in the metadata of a workflow")
        {
            f.metadata = {
                {"auto_execution",
                 {{config::section_of(rename.before),
                   {{config::name_of(rename.before),
                     std::visit([](const auto& v) { return boost::json::value(v); }, value)}}}}}};
            reads(ConfigLayer::workflow, message, "Rename it.");
        }
        SUBCASE("in the environment")
        {
            f.environment.push_back(
                fmt::format("{}={}", config::variable_of(rename.before), to_string(value)));
            reads(ConfigLayer::environment,
                  fmt::format("This variable is now {}", config::variable_of(rename.now)),
                  "Rename it.");
        }
    }
}

TEST_CASE("the new name of a setting takes precedence over the old one in the same place")
{
    const config::SettingsTable table;
    for (const auto& rename : renames()) {
        CAPTURE(rename.before);
        const auto value = other_value(*table.find(rename.now));
        RenameFixture f;
        SUBCASE("in a file")
        {
            const auto before = nested(rename.before, value);
            const auto both =
                config::section_of(rename.before) == config::section_of(rename.now)
                    ? before +
                          fmt::format("    {}: {}\n", config::name_of(rename.now), to_string(value))
                    : before + fmt::format("  {}:\n    {}: {}\n", config::section_of(rename.now),
                                           config::name_of(rename.now), to_string(value));
            auto text = both;
            const auto old_value = text.find(": " + to_string(value));
            text.replace(old_value + 2, to_string(value).size(), "2048");
            write_file(f.folder / own, text);
            const auto result = migrated(text);
            REQUIRE(result);
            CHECK(result->find(fmt::format(" {}:", config::name_of(rename.now))) !=
                  std::string::npos);
            CHECK(result->find("2048") == std::string::npos);
        }
        SUBCASE("in the environment")
        {
            f.environment.push_back(config::variable_of(rename.before) + "=2048");
            f.environment.push_back(
                fmt::format("{}={}", config::variable_of(rename.now), to_string(value)));
        }
        const auto found = f.read(rename.now);
        CHECK(found.value == value);
        REQUIRE(found.diagnostics.size() == 1);
        CHECK(found.diagnostics[0].severity == Diagnostic::Severity::warning);
        CHECK(found.diagnostics[0].message.find("has no effect") != std::string::npos);
    }
}

TEST_CASE("an old name in a stronger layer takes precedence over the new one in a weaker layer")
{
    RenameFixture f;
    write_file(f.folder / own, "auto_execution: {timeouts: {total_seconds: 5}}\n");
    f.environment.push_back("AUTOEXEC_CLOCKS_TOTAL_SECONDS=6");
    CHECK(f.read("timeouts.total_seconds").value == SettingValue(6.0));
}

TEST_CASE("a migration renames each key, once, and keeps the comments")
{
    const config::SettingsTable table;
    for (const auto& rename : renames()) {
        CAPTURE(rename.before);
        const auto value = other_value(*table.find(rename.now));
        const auto text = fmt::format(
            "# first\nauto_execution:\n  version: \"1.0\"  # old\n  debug: true\n"
            "  # above the section\n  {}:  # behind the section\n    # above the key\n"
            "    {}: {}  # behind the key\n# last\nother: 1\n",
            config::section_of(rename.before), config::name_of(rename.before), to_string(value));
        CAPTURE(text);
        const auto result = migrated(text);
        REQUIRE(result);
        CHECK(*result ==
              fmt::format(
                  "# first\nauto_execution:\n  version: \"1.1\"  # old\n  debug: true\n"
                  "  # above the section\n  {}:  # behind the section\n    # above the key\n"
                  "    {}: {}  # behind the key\n# last\nother: 1\n",
                  config::section_of(rename.now), config::name_of(rename.now), to_string(value)));
        CHECK(migrated(*result) == result);

        RenameFixture f;
        write_file(f.folder / own, *result);
        const auto found = f.read(rename.now);
        CHECK(found.value == value);
        CHECK(found.diagnostics.size() == 1);  // `other`
    }
}

TEST_CASE("a migration moves keys between sections with their comments")
{
    const auto check = [](const std::string& before, const std::string& after) {
        CAPTURE(before);
        const auto result = migrated(before);
        REQUIRE(result);
        CHECK(*result == after);
        CHECK(migrated(*result) == result);
    };
    SUBCASE("to a new section")
    {
        check(
            "auto_execution:\n  version: \"1.0\"\n  limits:\n    status_bytes: 2048  # small\n"
            "    # a week\n    audit_bytes: 4096  # each\n    output_bytes: 9\n  debug: true\n",
            "auto_execution:\n  version: \"1.1\"\n  limits:\n    max_status_bytes: 2048  # small\n"
            "    max_output_bytes: 9\n  audit:\n    # a week\n    max_bytes: 4096  # each\n"
            "  debug: true\n");
    }
    SUBCASE("to a section above, with another indentation")
    {
        check(
            "auto_execution:\n    version: \"1.0\"\n    audit:\n      max_backups: 2\n"
            "    # sizes\n    limits:  # bytes\n        # a week\n        audit_bytes: 4096\n",
            "auto_execution:\n    version: \"1.1\"\n    audit:\n      max_backups: 2\n"
            "      # a week\n      max_bytes: 4096\n    # sizes\n    # bytes\n");
    }
    SUBCASE("to a section below")
    {
        check(
            "auto_execution:\n  version: \"1.0\"\n  clocks:\n    stall_seconds: 3\n"
            "    total_seconds: 4\n  timeouts:\n    start_seconds: 5\n",
            "auto_execution:\n  version: \"1.1\"\n  timeouts:\n    start_seconds: 5\n"
            "    stall_seconds: 3\n    total_seconds: 4\n");
    }
    SUBCASE("a whole section, whatever its order")
    {
        check(
            "auto_execution:\n  limits:\n    audit_backups: 2  # two\n    audit_bytes: 4096\n"
            "  version: 1.0\n",
            "auto_execution:\n  audit:\n    max_backups: 2  # two\n    max_bytes: 4096\n"
            "  version: \"1.1\"\n");
    }
    SUBCASE("in quotes, in braces, by an alias")
    {
        check("auto_execution:\n  version: '1.0'\n  \"clocks\":\n    'stall_seconds': 3\n",
              "auto_execution:\n  version: \"1.1\"\n  timeouts:\n    'stall_seconds': 3\n");
        for (const std::string text :
             {"auto_execution: {limits: {audit_bytes: 4096, status_bytes: 2048}}\n",
              "{\"auto_execution\": {\"limits\": {\"audit_bytes\": 4096, \"status_bytes\": 2048}}}",
              "other: &x {audit_bytes: 4096, status_bytes: 2048}\nauto_execution:\n  limits: *x\n",
              "auto_execution:\r\n  limits:\r\n    audit_bytes: 4096\r\n    status_bytes: 2048\r\n",
              "auto_execution:\n  audit:\n  limits: {audit_bytes: 4096, status_bytes: 2048}"}) {
            CAPTURE(text);
            const auto result = migrated(text);
            REQUIRE(result);
            RenameFixture f;
            write_file(f.folder / own, *result);
            CHECK(f.read("audit.max_bytes").value == SettingValue(std::int64_t{4096}));
            CHECK(f.read("limits.max_status_bytes").value == SettingValue(std::int64_t{2048}));
            CHECK(migrated(*result) == result);
        }
    }
}

TEST_CASE("a section that is written again takes no comments of others with it")
{
    CHECK(migrated("# first\nother: 1\n# ours\nauto_execution: {limits: {audit_bytes: 4096}}\n"
                   "\n# theirs\nlast: {x: 1}  # behind\n# end\n") ==
          "# first\nother: 1\n# ours\nauto_execution:\n  audit:\n    max_bytes: 4096\n"
          "  version: \"1.1\"\n\n# theirs\nlast: {x: 1}  # behind\n# end\n");
    CHECK(migrated("auto_execution: {clocks: {stall_seconds: 3}}\n# end") ==
          "auto_execution:\n  timeouts:\n    stall_seconds: 3\n  version: \"1.1\"\n# end");
    CHECK(migrated("auto_execution: {version: \"1.0\"}\n#") ==
          "auto_execution: {version: \"1.1\"}\n#");
}

TEST_CASE("an old key that has no effect is removed by a migration, its comments stay")
{
    CHECK(migrated("auto_execution:\n  version: \"1.0\"\n  timeouts:\n    stall_seconds: 3\n"
                   "  clocks:  # old\n    # above\n    stall_seconds: 4  # behind\n"
                   "    total_seconds: 5\n") ==
          "auto_execution:\n  version: \"1.1\"\n  timeouts:\n    stall_seconds: 3\n"
          "    # above\n    # behind\n    total_seconds: 5\n  # old\n");
}

TEST_CASE("a migration keeps the ends of lines")
{
    CHECK(migrated("auto_execution:\r\n  limits:  # few\r\n    output_bytes: 9\r\n"
                   "    audit_bytes: 4096\r\n") ==
          "auto_execution:\r\n  limits:  # few\r\n    max_output_bytes: 9\r\n"
          "  audit:\r\n    max_bytes: 4096\r\n  version: \"1.1\"\r\n");
    CHECK(migrated("auto_execution: {limits: {audit_bytes: 4096}}\r\nother: 1\r\n") ==
          "auto_execution:\r\n  audit:\r\n    max_bytes: 4096\r\n  version: \"1.1\"\r\n"
          "other: 1\r\n");
    CHECK(migrated("auto_execution:\r\n  version: \"1.0\"\n  debug: true\r\n") ==
          "auto_execution:\r\n  version: \"1.1\"\n  debug: true\r\n");
    CHECK(migrated("auto_execution:\n  clocks:\n    stall_seconds: 3\n  version: \"1.0\"") ==
          "auto_execution:\n  timeouts:\n    stall_seconds: 3\n  version: \"1.1\"");
}

TEST_CASE("a migration keeps comments within braces, or refuses")
{
    CHECK(migrated("auto_execution: {  # mine\n  clocks: {stall_seconds: 3},  # short\n"
                   "  limits: {status_bytes: 2048}  # small\n}\n") ==
          "auto_execution: {version: \"1.1\",   # mine\n  timeouts: {stall_seconds: 3},  # short\n"
          "  limits: {max_status_bytes: 2048}  # small\n}\n");
    CHECK(migrated("auto_execution: {limits: {audit_bytes: 4096}, extensions: {x: \"a #b\"}}\n") ==
          "auto_execution:\n  audit:\n    max_bytes: 4096\n  extensions:\n    x: \"a #b\"\n"
          "  version: \"1.1\"\n");
    for (const std::string before :
         {"audit_bytes: 4096", "audit_bytes: 4096, status_bytes: 2048"}) {
        const auto text =
            "auto_execution:\n  debug: true\n  limits: {  # mine\n    max_parallel: 2,\n    " +
            before + "  # a week\n  }\n";
        CAPTURE(text);
        yaml::Report report("file", text);
        CHECK_FALSE(config::migrate(text, report));
        const auto errors = report.take_errors();
        REQUIRE(errors.size() == 1);
        CHECK(errors[0].message == "'limits.audit_bytes' cannot be moved to 'audit.max_bytes'");
        CHECK(errors[0].hint.starts_with("Comments within braces would be lost."));
        CHECK(errors[0].line == 5);
    }
}

TEST_CASE("a migration leaves no empty section of version 1.0")
{
    const auto with = [](const std::string& rest) {
        return "auto_execution:\n  version: \"1.1\"\n" + rest;
    };
    CHECK(migrated(with("  clocks:  # none\n  debug: true\n")) ==
          with("  timeouts:  # none\n  debug: true\n"));
    CHECK(migrated(with("  clocks: {}\n")) == with("  timeouts: {}\n"));
    CHECK(migrated(with("  clocks:  # none\n  timeouts:\n    stall_seconds: 3\n")) ==
          with("  # none\n  timeouts:\n    stall_seconds: 3\n"));
    CHECK(migrated(with("  limits:\n")) == with("  limits:\n"));
}

TEST_CASE("a key is not renamed to one that exists, and only where it exists")
{
    const std::string text = "a:\n  b: 1\n  c: 2\n";
    const auto path = [](std::string key) { return std::vector<std::string>{"a", std::move(key)}; };
    CHECK_FALSE(yaml::rename_in_yaml(text, path("b"), path("c")));
    CHECK_FALSE(yaml::rename_in_yaml(text, path("x"), path("y")));
    CHECK_FALSE(yaml::remove_in_yaml(text, path("x")));
    CHECK(yaml::rename_in_yaml(text, path("b"), path("d")) == "a:\n  d: 1\n  c: 2\n");
    CHECK(yaml::remove_in_yaml(text, path("b")) == "a:\n  c: 2\n");
}

TEST_CASE("the manager migrates its file, and shows the changes first")
{
    RenameFixture f;
    const std::string before =
        "auto_execution:\n  version: \"1.0\"\n  clocks:\n    stall_seconds: 3\n";
    write_file(f.folder / own, before);
    auto manager = f.make();
    const auto changes = manager.migrate(true);
    CHECK(changes ==
          "@@ -1,4 +1,4 @@\n auto_execution:\n-  version: \"1.0\"\n-  clocks:\n"
          "+  version: \"1.1\"\n+  timeouts:\n     stall_seconds: 3\n");
    CHECK(read_file(f.folder / own) == before);
    CHECK(manager.migrate() == changes);
    CHECK(read_file(f.folder / own) ==
          "auto_execution:\n  version: \"1.1\"\n  timeouts:\n    stall_seconds: 3\n");
    CHECK(manager.migrate().empty());
    CHECK(manager.diagnostics().empty());
    write_file(f.folder / own, "auto_execution: [\n");
    CHECK_THROWS_AS(manager.migrate(), InvalidConfiguration);
}

TEST_CASE("saving a setting renames its key")
{
    RenameFixture f;
    write_file(f.folder / own,
               "auto_execution:\n  version: \"1.0\"\n  clocks:\n    stall_seconds: 3  # short\n"
               "    total_seconds: 4\n");
    auto manager = f.make();
    auto config = manager.load();
    config.executor.stall_timeout = std::chrono::seconds{9};
    manager.save(config);
    CHECK(read_file(f.folder / own) ==
          "auto_execution:\n  version: \"1.1\"\n  clocks:\n    total_seconds: 4\n"
          "  timeouts:\n    stall_seconds: 9.0  # short\n");
    CHECK(manager.load() == config);
}

TEST_CASE("a difference has one hunk for each group of changes")
{
    std::string before;
    for (int i = 1; i <= 30; ++i) before += fmt::format("{}\n", i);
    auto after = before;
    after.replace(after.find("5\n"), 2, "five\n");
    after.replace(after.find("\n25\n") + 1, 3, "");
    CHECK(config::difference(before, after) ==
          "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
          "@@ -22,7 +22,6 @@\n 22\n 23\n 24\n-25\n 26\n 27\n 28\n");
    CHECK(config::difference("", "a\n") == "@@ -1,0 +1,1 @@\n+a\n");
}

TEST_SUITE_END();
