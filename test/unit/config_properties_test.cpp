#include "autoexec/config.hpp"
#include "config/describe.hpp"
#include "config/migration.hpp"
#include "config/settings.hpp"
#include "support/temporary_folder.hpp"
#include "yaml/yaml_edit.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <random>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Any valid configuration; the same ones in each run.
class Random {
public:
    explicit Random(unsigned seed) : engine_(seed) {}

    std::size_t below(std::size_t n)
    {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_);
    }

    SettingValue value(const config::Setting& s)
    {
        const auto real = [&] {
            // Within both bounds of every range, and some of them no round numbers.
            const double least = s.range.above_least ? s.range.least + 0.001 : s.range.least;
            return std::uniform_real_distribution<double>(least, s.range.most)(engine_);
        };
        switch (s.type) {
            case config::SettingType::boolean:
                return below(2) == 1;
            case config::SettingType::integer:
                return static_cast<std::int64_t>(real());
            case config::SettingType::number:
                return real();
            case config::SettingType::choice:
                return std::string(s.choices[below(s.choices.size())]);
            case config::SettingType::duration:
                return std::to_string(below(100)) + (below(2) == 1 ? "" : "d");
            case config::SettingType::prices:
                return R"({"m-1.5": {"input": 3, "output": )" + std::to_string(below(100)) + "}}";
            case config::SettingType::version:
                return std::string(config::current_version);
            case config::SettingType::text:
            case config::SettingType::file_name:
                break;
        }
        return names[below(names.size())];
    }

    AutoExecutionConfig configuration()
    {
        AutoExecutionConfig config;
        for (const auto& setting : config::built_in_settings())
            if (!setting.not_for_projects && below(3) == 0) setting.set(config, value(setting));
        auto& executor = config.executor;
        executor.timeout += executor.polling_interval;
        executor.timeout = std::min<std::chrono::milliseconds>(executor.timeout, 100'000'000s);
        if (config.enabled) config.polling_enabled = true;
        return config;
    }

private:
    std::mt19937 engine_;
    const std::array<std::string, 6> names{
        "done.json", "true", "a: b", "7", "with \"quotes\" and #", "späß\\t"};
};

// Forms in which people write such a file.
const std::array<std::string, 9> beginnings{
    "",
    "# only a comment\n",
    "other: {a: [1, 2]}\n",
    "auto_execution:\n",
    "auto_execution:\n    retry:\n        enabled: true # four\n    # spaces\nlast: |\n  text\n  "
    "more\n",
    "auto_execution: {retry: {max_attempts: 2}, debug: off}\nother: x\n",
    "base: &b {enabled: true}\nauto_execution:\n  retry: *b\n",
    "{\"auto_execution\": {\"debug\": true}, \"more\": null}",
    "auto_execution:\r\n  debug: true\r\n",
};

AutoExecutionConfigManager manager_of(const TemporaryFolder& project)
{
    AutoExecutionConfigManager manager({}, project.path());
    manager.set_environment({});
    return manager;
}

constexpr auto own = ".tapps-agents/auto_execution_config.yaml";

}  // namespace

TEST_SUITE_BEGIN("config");

TEST_CASE("any valid configuration survives save and load, whatever the file looked like")
{
    for (unsigned seed = 0; seed < 90; ++seed) {
        const auto& beginning = beginnings.at(seed % beginnings.size());
        CAPTURE(seed);
        CAPTURE(beginning);
        Random random(seed);
        TemporaryFolder project;
        if (!beginning.empty()) write_file(project / own, beginning);
        const auto wanted = random.configuration();
        manager_of(project).save(wanted);
        auto manager = manager_of(project);
        CHECK(manager.load() == wanted);
        for (const auto& d : manager.diagnostics())
            CHECK_MESSAGE(d.hint == "Known keys: auto_execution.", to_string(d));
    }
}

TEST_CASE("what others keep in the file means the same after a save")
{
    for (const auto& beginning : beginnings) {
        CAPTURE(beginning);
        const std::array<std::string, 2> path{"auto_execution", "debug"};
        const auto changed = yaml::set_in_yaml(beginning, path, yaml::make_scalar("true", true));
        REQUIRE(changed);
        yaml::Report before_report("", beginning);
        yaml::Report after_report("", *changed);
        const auto before = yaml::parse_yaml(beginning, before_report);
        const auto after = yaml::parse_yaml(*changed, after_report);
        REQUIRE((before && after));
        for (const auto& entry : before->entries) {
            if (entry.key == "auto_execution") continue;
            const auto* const kept = after->find(entry.key);
            REQUIRE(kept != nullptr);
            CHECK(yaml::same_content(entry.value, *kept));
        }
    }
}

TEST_CASE("a value that cannot be set without harm is not set")
{
    const std::array<std::string, 2> path{"auto_execution", "debug"};
    for (const std::string text :
         {"- a\n", "text\n", "auto_execution: text\n", "auto_execution: [1]\n", "a: [\n",
          "auto_execution: {debug: {}}\n"}) {
        CAPTURE(text);
        CHECK_FALSE(yaml::set_in_yaml(text, path, yaml::make_scalar("true", true)));
    }
}

TEST_CASE("any bytes end in a configuration or in diagnostics")
{
    Random random(1);
    const std::string pieces[] = {"auto_execution:",
                                  "\n",
                                  "  ",
                                  "retry:",
                                  "max_attempts: ",
                                  "3",
                                  "{",
                                  "}",
                                  "[",
                                  "]",
                                  "\"",
                                  "'",
                                  "&a ",
                                  "*a",
                                  "- ",
                                  "\t",
                                  "\xff",
                                  "%",
                                  "|",
                                  "# ",
                                  "? ",
                                  ": ",
                                  "!!x ",
                                  "---\n"};
    for (int i = 0; i < 2000; ++i) {
        std::string text;
        for (auto n = random.below(40); n > 0; --n) text += pieces[random.below(std::size(pieces))];
        CAPTURE(text);
        TemporaryFolder project;
        write_file(project / own, text);
        auto manager = manager_of(project);
        (void)manager.load(false);
        (void)to_string(manager.diagnostics());
    }
}

TEST_CASE("a file without a version is given one, and all else stays")
{
    const std::string text = "# mine\nauto_execution:\n  enabled: true  # yes\nother: 1\n";
    yaml::Report report("file", text);
    const auto migrated = config::migrate(text, report);
    REQUIRE(migrated);
    CHECK(*migrated ==
          "# mine\nauto_execution:\n  enabled: true  # yes\n  version: \"1.1\"\nother: 1\n");
    CHECK(config::difference(text, *migrated) ==
          "@@ -1,4 +1,5 @@\n # mine\n auto_execution:\n   enabled: true  # yes\n"
          "+  version: \"1.1\"\n other: 1\n");
    yaml::Report again("file", *migrated);
    CHECK(config::migrate(*migrated, again) == migrated);
    CHECK(config::difference(*migrated, *migrated).empty());
}

TEST_CASE("an older version is updated, a newer one is refused, a file of other programs is kept")
{
    const auto migrated = [](const std::string& text) {
        yaml::Report report("file", text);
        return config::migrate(text, report);
    };
    for (const auto* const older : {"0.9", "1", "1.0", "\"1.0\""}) {
        CAPTURE(older);
        CHECK(migrated(fmt::format("auto_execution:\n  version: {}\n", older)) ==
              "auto_execution:\n  version: \"1.1\"\n");
    }
    CHECK(migrated("auto_execution:\n  version: 1.1\n") == "auto_execution:\n  version: 1.1\n");
    CHECK_FALSE(migrated("auto_execution:\n  version: 1.2\n"));
    CHECK(migrated("other: 1\n") == "other: 1\n");
    CHECK_FALSE(migrated("a: [\n"));
}

TEST_CASE("the page about the configuration is that of this version")
{
    const auto page = read_file(fs::path(AUTOEXEC_SOURCE_DIR) / "doc/configuration.md");
    CHECK_MESSAGE(page == config::reference({}),
                  "autoexec config reference > doc/configuration.md");
}

TEST_CASE("the schema knows every setting, its range and its default")
{
    const auto schema = config::json_schema({});
    const auto& ours = schema.at("properties").at("auto_execution").at("properties").as_object();
    for (const auto& setting : config::built_in_settings()) {
        CAPTURE(setting.key);
        const boost::json::value* node = nullptr;
        const auto* properties = &ours;
        for (std::size_t at = 0; at <= setting.key.size();) {
            const auto dot = std::min(setting.key.find('.', at), setting.key.size());
            node = properties->if_contains(setting.key.substr(at, dot - at));
            REQUIRE(node != nullptr);
            if (dot < setting.key.size()) properties = &node->at("properties").as_object();
            at = dot + 1;
        }
        CHECK(node->as_object().contains("description"));
        CHECK(node->as_object().contains("default"));
        CHECK((node->as_object().contains("type") || node->as_object().contains("enum")));
    }
    CHECK(ours.at("retry").at("properties").at("max_attempts").at("minimum") == 1);
    CHECK(ours.at("polling").at("properties").at("interval_seconds").at("exclusiveMinimum") == 0);
}

TEST_CASE("a real project's configuration is read and left alone")
{
    const char* const data = std::getenv("AUTOEXEC_CONFORMANCE_DATA");
    if (data == nullptr) {
        MESSAGE("skipped: AUTOEXEC_CONFORMANCE_DATA is not set");
        return;
    }
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(data) / "config")) {
        CAPTURE(entry.path().string());
        ++count;
        TemporaryFolder project;
        const auto text = read_file(entry.path());
        write_file(project / ".tapps-agents/config.yaml", text);
        auto manager = manager_of(project);
        auto config = manager.load();
        CHECK_MESSAGE(manager.diagnostics().empty(), to_string(manager.diagnostics()));
        CHECK(config.enabled);
        CHECK(manager.origin("polling.interval_seconds").layer == ConfigLayer::project_config);
        config.debug = true;
        manager.save(config);
        CHECK(read_file(project / ".tapps-agents/config.yaml") == text);
        // The same file in the other's place: foreign sections, and ours behind them.
        write_file(project / own, text);
        manager.save(config);
        const auto saved = read_file(project / own);
        CHECK(saved.starts_with(text));
        CHECK(manager.load() == config);
    }
    CHECK(count > 0);
}

TEST_SUITE_END();
