#include "autoexec/config.hpp"

#include "config/layer.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <boost/json/object.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// A project whose configuration nothing outside has a say in.
struct ConfigFixture {
    TemporaryFolder folder;
    std::vector<std::string> environment{"XDG_CONFIG_HOME=" + (folder / "user").string()};

    void write(const std::string& path, std::string_view text) const
    {
        write_file(folder / path, text);
    }
    void write_own(std::string_view text) const { write(own, text); }
    [[nodiscard]] AutoExecutionConfigManager make() const
    {
        AutoExecutionConfigManager made({}, folder.path());
        made.set_environment(environment);
        return made;
    }
    AutoExecutionConfig load() const { return make().load(); }

    static constexpr auto own = ".tapps-agents/auto_execution_config.yaml";
    static constexpr auto project = ".tapps-agents/config.yaml";
    static constexpr auto user = "user/autoexec/config.yaml";
};

std::string errors_of(const InvalidConfiguration& e)
{
    return to_string(e.diagnostics());
}

bool has(std::string_view text, std::string_view part)
{
    return text.find(part) != text.npos;
}

}  // namespace

TEST_SUITE_BEGIN("config");

TEST_CASE("without files there are the defaults")
{
    const ConfigFixture f;
    auto manager = f.make();
    CHECK(manager.load() == AutoExecutionConfig{});
    CHECK(manager.diagnostics().empty());
    CHECK(manager.origin("retry.max_attempts").layer == ConfigLayer::defaults);
    CHECK(to_string(manager.origin("retry.max_attempts")) == "default");
}

TEST_CASE("a value in a file is used, and known by its place")
{
    const ConfigFixture f;
    f.write_own("auto_execution:\n  version: 1.0\n  retry:\n    max_attempts: 7\n");
    auto manager = f.make();
    CHECK(manager.load().executor.retry.max_attempts == 7);
    const auto origin = manager.origin("retry.max_attempts");
    CHECK(origin.layer == ConfigLayer::auto_execution);
    CHECK(origin.line == 4);
    CHECK(origin.column == 19);
    CHECK(to_string(origin) == (f.folder / f.own).string() + ":4");
}

TEST_CASE_FIXTURE(ConfigFixture, "each layer wins over those below it, one setting at a time")
{
    const auto timeout = [&] { return load().executor.timeout; };
    write(user, "auto_execution: {polling: {timeout_seconds: 11, interval_seconds: 2}}\n");
    CHECK(timeout() == 11s);
    write(project, "workflow:\n  timeout_seconds: 22\n");
    CHECK(timeout() == 22s);
    write_own("auto_execution:\n  polling:\n    timeout_seconds: 33\n");
    CHECK(timeout() == 33s);

    auto manager = make();
    manager.set_workflow_metadata(
        {{"auto_execution", {{"polling", {{"timeout_seconds", 44}}}}}, {"other", 1}});
    CHECK(manager.load().executor.timeout == 44s);
    environment.push_back("AUTOEXEC_POLLING_TIMEOUT_SECONDS=55");
    manager.set_environment(environment);
    CHECK(manager.load().executor.timeout == 55s);
    manager.override_setting("polling.timeout_seconds", 66.0, "--timeout");
    CHECK(manager.load().executor.timeout == 66s);
    CHECK(to_string(manager.origin("polling.timeout_seconds")) == "command line --timeout");
    CHECK(manager.load().executor.polling_interval == 2s);
    CHECK(manager.origin("polling.interval_seconds").layer == ConfigLayer::user_file);
}

TEST_CASE_FIXTURE(ConfigFixture, "a default of a stronger layer hides no value of a weaker one")
{
    write(project, "workflow: {auto_execution_enabled: true, polling_interval: 9}\n");
    write_own("auto_execution:\n  retry: {max_attempts: 2}\n");
    const auto config = load();
    CHECK(config.enabled);
    CHECK(config.executor.polling_interval == 9s);
    CHECK(config.executor.retry.max_attempts == 2);
}

TEST_CASE_FIXTURE(ConfigFixture, "auto_execution: true in a workflow's metadata means enabled")
{
    auto manager = make();
    manager.set_workflow_metadata({{"auto_execution", true}});
    CHECK(manager.load().enabled);
    manager.set_workflow_metadata({{"auto_execution", "false"}});
    CHECK_THROWS_AS(manager.load(), InvalidConfiguration);
}

TEST_CASE_FIXTURE(ConfigFixture, "a workflow lowers budgets, and neither raises nor removes them")
{
    write_own("auto_execution:\n  budget: {max_cost_per_run: 5, max_tokens_per_day: 100}\n");
    auto manager = make();
    const auto with = [&](const char* key, boost::json::value value) {
        boost::json::object settings{{"budget", {{key, std::move(value)}}}};
        manager.set_workflow_metadata({{"auto_execution", std::move(settings)}});
        return manager.load();
    };
    CHECK(with("max_cost_per_run", 2).budget.max_cost_per_run == 2);
    CHECK(manager.diagnostics().empty());
    CHECK(with("max_cost_per_day", 2).budget.max_cost_per_day == 2);
    CHECK(manager.diagnostics().empty());
    CHECK(with("max_cost_per_run", 50).budget.max_cost_per_run == 5);
    REQUIRE(manager.diagnostics().size() == 1);
    CHECK(manager.diagnostics()[0].severity == Diagnostic::Severity::warning);
    CHECK(manager.diagnostics()[0].message.starts_with(
        "A workflow cannot raise or remove budget.max_cost_per_run: its value is ignored, /"));
    CHECK(with("max_tokens_per_day", 0).budget.max_tokens_per_day == 100);
    CHECK(manager.diagnostics().size() == 1);
    CHECK(with("max_cost_per_command", 3).executor.max_cost_per_command == 3);
    // The user has the last word.
    manager.override_setting("budget.max_cost_per_run", 7.0, "--max-cost");
    CHECK(with("max_cost_per_run", 2).budget.max_cost_per_run == 7);
    manager.set_workflow_metadata(
        {{"auto_execution", {{"prices", {{"m", {{"input", 0}, {"output", 0}}}}}}}});
    CHECK(manager.load().executor.prices.empty());
    CHECK(manager.diagnostics().at(0).message ==
          "A workflow cannot set prices: its value is ignored, the default applies");
}

TEST_CASE_FIXTURE(ConfigFixture, "only the user names a program to run, no file of a project")
{
    write_own("auto_execution:\n  notify:\n    failed: true\n    program: evil\n");
    auto manager = make();
    manager.set_workflow_metadata({{"auto_execution", {{"notify", {{"program", "worse"}}}}}});
    CHECK(manager.load().notify.program.empty());
    CHECK(manager.load().notify.failed);
    REQUIRE(manager.diagnostics().size() == 2);
    const auto& warning = manager.diagnostics()[0];
    CHECK(warning.severity == Diagnostic::Severity::warning);
    CHECK(warning.line == 4);
    CHECK(warning.message ==
          "A project cannot set notify.program: its value is ignored, the default applies");
    CHECK(warning.hint.find("AUTOEXEC_NOTIFY_PROGRAM") != std::string::npos);

    auto wanted = manager.load();
    wanted.notify.program = "mine";
    CHECK_THROWS_AS(manager.save(wanted), InvalidConfiguration);
    environment.push_back("AUTOEXEC_NOTIFY_PROGRAM=mine --loud");
    CHECK(load().notify.program == "mine --loud");
}

TEST_CASE_FIXTURE(ConfigFixture, "1 and 0 are good for switches in the environment, not in files")
{
    environment.push_back("AUTOEXEC_DEBUG=1");
    CHECK(load().debug);
    write_own("auto_execution: {debug: 1}\n");
    CHECK_THROWS_AS(load(), InvalidConfiguration);
}

TEST_CASE_FIXTURE(ConfigFixture,
                  "what is wrong in the environment is said with the variable's name")
{
    environment.push_back("AUTOEXEC_RETRY_MAX_ATTEMPTS=many");
    try {
        load();
        FAIL("accepted");
    } catch (const InvalidConfiguration& e) {
        CHECK(errors_of(e) ==
              "AUTOEXEC_RETRY_MAX_ATTEMPTS: error: AUTOEXEC_RETRY_MAX_ATTEMPTS must be a whole "
              "number\n  hint: This is text. Allowed: 1 to 1000.\n");
    }
}

TEST_CASE_FIXTURE(ConfigFixture,
                  "a variable that is nearly one of ours is a warning, others are not ours")
{
    environment.insert(environment.end(), {"AUTOEXEC_DEBUGG=1", "AUTOEXEC_RETRY_MAX_ATTEMPT=2",
                                           "AUTOEXEC_EXECUTION_ID=x", "AUTOEXEC_ATTEMPT=1",
                                           "AUTOEXEC_ATTEMPT_ID=y", "AUTOEXEC_WORKTREE=/w"});
    auto manager = make();
    CHECK(manager.load() == AutoExecutionConfig{});
    CHECK(to_string(manager.diagnostics()) ==
          "AUTOEXEC_DEBUGG: warning: Unknown variable\n  hint: Did you mean 'AUTOEXEC_DEBUG'?\n"
          "AUTOEXEC_RETRY_MAX_ATTEMPT: warning: Unknown variable\n"
          "  hint: Did you mean 'AUTOEXEC_RETRY_MAX_ATTEMPTS'?\n");
    CHECK(config::unlike_variables({}, environment).empty());
    environment.push_back("AUTOEXEC_SOMETHING_ELSE=1");
    CHECK(to_string(config::unlike_variables({}, environment)) ==
          "AUTOEXEC_SOMETHING_ELSE: warning: Unknown variable\n"
          "  hint: No setting has a similar name: see autoexec config reference.\n");
}

TEST_CASE_FIXTURE(ConfigFixture, "problems of all layers are reported at once")
{
    write(project, "workflow:\n  polling_interval: fast\n");
    write_own("auto_execution:\n  retry: {max_attempts: 0}\n  durability: often\n");
    try {
        load();
        FAIL("accepted");
    } catch (const InvalidConfiguration& e) {
        CHECK(e.diagnostics().size() == 3);
        CHECK(has(e.what(), "Configuration validation failed:\n  - "));
        CHECK(has(e.what(), "retry.max_attempts must be >= 1\n  - "));
        CHECK(e.code() == errc::invalid_configuration);
    }
}

TEST_CASE_FIXTURE(ConfigFixture,
                  "without validation what is wrong is left out, and the rest is used")
{
    write_own("auto_execution:\n  retry: {max_attempts: 0, backoff_multiplier: 3}\n");
    auto manager = make();
    const auto config = manager.load(false);
    CHECK(config.executor.retry.max_attempts == 3);
    CHECK(config.executor.retry.backoff_multiplier == 3);
    CHECK(manager.diagnostics().size() == 1);
    CHECK_THROWS_AS(manager.load(), InvalidConfiguration);
}

TEST_CASE_FIXTURE(ConfigFixture,
                  "a contradiction is reported at the value that is more likely wrong")
{
    write_own("auto_execution:\n  polling:\n    interval_seconds: 60\n    timeout_seconds: 30\n");
    try {
        load();
        FAIL("accepted");
    } catch (const InvalidConfiguration& e) {
        REQUIRE(e.diagnostics().size() == 1);
        CHECK(e.diagnostics()[0].message ==
              "polling.timeout_seconds must be >= polling.interval_seconds");
        CHECK(e.diagnostics()[0].line == 4);
        CHECK(e.diagnostics()[0].column == 22);
        CHECK(e.diagnostics()[0].source_line == "    timeout_seconds: 30");
    }
}

TEST_CASE_FIXTURE(ConfigFixture, "polling that is off contradicts execution that is on")
{
    write_own("auto_execution: {enabled: true, polling: {enabled: false}}\n");
    CHECK_THROWS_WITH_AS(
        load(), doctest::Contains("polling must be enabled when auto_execution is enabled"),
        InvalidConfiguration);
    for (const auto* const fine :
         {"{enabled: false, polling: {enabled: false}}", "{polling: {enabled: false}}"}) {
        write_own(fmt::format("auto_execution: {}\n", fine));
        CHECK_FALSE(load().polling_enabled);
    }
}

TEST_CASE_FIXTURE(ConfigFixture, "a file is read again only when it has changed")
{
    write_own("auto_execution: {retry: {max_attempts: 4}}\n");
    auto manager = make();
    CHECK(manager.changed_on_disk());
    CHECK(manager.load().executor.retry.max_attempts == 4);
    CHECK_FALSE(manager.changed_on_disk());
    write_own("auto_execution: {retry: {max_attempts: 15}}\n");
    CHECK(manager.changed_on_disk());
    CHECK(manager.load().executor.retry.max_attempts == 15);
}

TEST_CASE_FIXTURE(ConfigFixture, "a reload that fails leaves what was loaded")
{
    write_own("auto_execution: {retry: {max_attempts: 4}}\n");
    auto manager = make();
    manager.load();
    write_own("auto_execution: {retry: {max_attempts: none}}\n");
    CHECK_THROWS_AS(manager.reload(), InvalidConfiguration);
    CHECK_FALSE(manager.changed_on_disk());
    CHECK(manager.diagnostics().size() == 1);
    CHECK(manager.load(false).executor.retry.max_attempts == 4);
    CHECK(manager.origin("retry.max_attempts").layer == ConfigLayer::auto_execution);
    write_own("auto_execution: {retry: {max_attempts: 6}}\n");
    CHECK(manager.reload().executor.retry.max_attempts == 6);
}

TEST_CASE_FIXTURE(ConfigFixture, "a file that cannot be read is an error, not an absence")
{
    SUBCASE("a link")
    {
        fs::create_directories(folder / ".tapps-agents");
        write("elsewhere.yaml", "auto_execution: {}\n");
        fs::create_symlink(folder / "elsewhere.yaml", folder / own);
    }
    SUBCASE("a folder that is a link")
    {
        write("elsewhere/auto_execution_config.yaml", "auto_execution: {}\n");
        fs::create_directory_symlink(folder / "elsewhere", folder / ".tapps-agents");
    }
    SUBCASE("a folder")
    {
        fs::create_directories(folder / own);
    }
    SUBCASE("a FIFO")
    {
        fs::create_directories(folder / ".tapps-agents");
        REQUIRE(::mkfifo((folder / own).c_str(), 0600) == 0);
    }
    SUBCASE("larger than a MiB")
    {
        write_own(std::string(1024 * 1024, '#') + "\n");
    }
    CHECK_THROWS_WITH_AS(load(), doctest::Contains("The file cannot be read"),
                         InvalidConfiguration);
}

TEST_CASE_FIXTURE(ConfigFixture, "the user's file may be a link")
{
    write("dotfiles/autoexec.yaml", "auto_execution: {retry: {max_attempts: 9}}\n");
    fs::create_directories(folder / "user/autoexec");
    fs::create_symlink(folder / "dotfiles/autoexec.yaml", folder / user);
    CHECK(load().executor.retry.max_attempts == 9);
}

TEST_CASE_FIXTURE(ConfigFixture, "the user's file is below HOME if XDG_CONFIG_HOME is not set")
{
    write("home/.config/autoexec/config.yaml", "auto_execution: {debug: true}\n");
    environment = {"HOME=" + (folder / "home").string()};
    CHECK(load().debug);
    environment = {"HOME=" + (folder / "home").string(), "XDG_CONFIG_HOME=relative"};
    CHECK(load().debug);
    environment = {};
    CHECK_FALSE(load().debug);
}

TEST_CASE_FIXTURE(ConfigFixture,
                  "a feature flag is what the workflow says, else what the file says")
{
    write_own("auto_execution: {features: {metrics_collection: false}}\n");
    auto manager = make();
    CHECK_FALSE(manager.get_feature_flag("metrics_collection"));
    CHECK(manager.get_feature_flag("audit_logging"));
    CHECK_FALSE(manager.get_feature_flag("unheard_of"));
    const boost::json::object over{
        {"auto_execution", {{"features", {{"metrics_collection", true}, {"audit_logging", 0}}}}}};
    CHECK(manager.get_feature_flag("metrics_collection", over));
    CHECK(manager.get_feature_flag("audit_logging", over));
    CHECK(manager.get_feature_flag("audit_logging", {{"auto_execution", true}}));
}

TEST_CASE_FIXTURE(ConfigFixture, "flags and settings of an application work like the built-in ones")
{
    auto manager = make();
    manager.register_flag("night_shift", false, "Run at night only.");
    manager.register_setting("shop.region", std::string("eu"), "Where the machines are.");
    manager.register_setting("shop.size", std::int64_t{4}, "How many.");
    CHECK_FALSE(manager.get_feature_flag("night_shift"));
    CHECK(manager.load().extensions.at("shop.region") == SettingValue(std::string("eu")));

    write_own(
        "auto_execution:\n  features: {night_shift: true}\n"
        "  extensions:\n    shop: {region: us, unknown: [1]}\n    others: {a: 1}\n");
    CHECK(manager.get_feature_flag("night_shift"));
    CHECK(manager.load().extensions.at("shop.region") == SettingValue(std::string("us")));
    CHECK(manager.diagnostics().empty());

    environment.push_back("AUTOEXEC_EXTENSIONS_SHOP_SIZE=6");
    manager.set_environment(environment);
    CHECK(manager.load().extensions.at("shop.size") == SettingValue(std::int64_t{6}));
    CHECK(has(manager.reference(), "`extensions.shop.size` | `4` | a whole number | How many."));
    CHECK(has(manager.reference(), "| `features.night_shift` | `false` |"));

    write_own("auto_execution: {features: {night_shift: 3}, extensions: {shop: {size: x}}}\n");
    environment.pop_back();
    manager.set_environment(environment);
    CHECK_THROWS_AS(manager.load(), InvalidConfiguration);
    CHECK(manager.diagnostics().size() == 2);
}

TEST_CASE_FIXTURE(ConfigFixture, "a name that is taken, or no name, cannot be registered")
{
    auto manager = make();
    for (const auto* const name : {"audit_logging", "", "a.b", "a b", "a:", "ä"})
        CHECK_THROWS_AS(manager.register_flag(name, true, ""), system_error);
    manager.register_setting("a.b", true, "");
    for (const auto* const name : {"a", "a.b", "a.b.c", ".a", "a.", "a..b"})
        CHECK_THROWS_AS(manager.register_setting(name, true, ""), system_error);
}

TEST_CASE_FIXTURE(ConfigFixture, "an override must name a setting, and be in its range")
{
    auto manager = make();
    CHECK_THROWS_AS(manager.override_setting("retry.attempts", std::int64_t{1}, "-r"),
                    system_error);
    CHECK_THROWS_AS(manager.override_setting("retry.max_attempts", 1.0, "-r"), system_error);
    CHECK_THROWS_AS(manager.override_setting("retry.max_attempts", std::int64_t{0}, "-r"),
                    system_error);
}

TEST_CASE_FIXTURE(ConfigFixture, "validate names what is out of range in a configuration")
{
    auto manager = make();
    AutoExecutionConfig config;
    CHECK_NOTHROW(manager.validate(config));
    config.executor.retry.max_attempts = 0;
    config.executor.retry.backoff_multiplier = 0.5;
    config.executor.retry.initial_delay = -1s;
    config.executor.polling_interval = 0s;
    config.executor.timeout = -3s;
    try {
        manager.validate(config);
        FAIL("accepted");
    } catch (const InvalidConfiguration& e) {
        const std::string text = e.what();
        for (const auto* const line :
             {"retry.max_attempts must be >= 1", "retry.backoff_multiplier must be >= 1",
              "retry.initial_delay_seconds must be >= 0", "polling.interval_seconds must be > 0",
              "polling.timeout_seconds must be > 0"})
            CHECK_MESSAGE(has(text, line), text);
        CHECK(e.diagnostics().size() == 5);
    }
}

TEST_CASE_FIXTURE(ConfigFixture, "a changed value is saved, and all else in the file stays")
{
    const std::string text =
        "# ours\nother:\n  - {x: 1} # theirs\nauto_execution:\n  version: \"1.0\"\n"
        "  # how often\n  retry:\n    max_attempts: 2  # twice\n    enabled: true\nlast: 'one'\n";
    write_own(text);
    auto manager = make();
    auto config = manager.load();
    config.executor.retry.max_attempts = 5;
    config.debug = true;
    manager.save(config);
    CHECK(
        read_file(folder / own) ==
        "# ours\nother:\n  - {x: 1} # theirs\nauto_execution:\n  version: \"1.1\"\n"
        "  # how often\n  retry:\n    max_attempts: 5  # twice\n    enabled: true\n  debug: true\n"
        "last: 'one'\n");
    CHECK(make().load() == config);
}

TEST_CASE_FIXTURE(ConfigFixture, "a file that exists keeps its mode, a new one is the user's alone")
{
    const auto mode = [&] { return fs::status(folder / own).permissions() & fs::perms::mask; };
    auto manager = make();
    auto config = manager.load();
    config.debug = true;
    manager.save(config);
    CHECK(mode() == fs::perms(0600));
    write_own("auto_execution:\n  version: \"1.0\"\n");
    for (const auto kept : {fs::perms(0640), fs::perms(0644), fs::perms(0400)}) {
        fs::permissions(folder / own, kept);
        config.debug = !config.debug;
        manager.save(config);
        CHECK(mode() == kept);
    }
    write_own("auto_execution:\n  clocks: {stall_seconds: 3}\n");
    fs::permissions(folder / own, fs::perms(0644));
    CHECK_FALSE(manager.migrate().empty());
    CHECK(mode() == fs::perms(0644));
}

TEST_CASE_FIXTURE(ConfigFixture, "a file whose comments would be lost is not saved")
{
    const std::string text =
        "auto_execution:\n  version: \"1.1\"\n  retry: &r {enabled: true}  # ours\n"
        "  x: *r\n";
    write_own(text);
    auto manager = make();
    auto config = manager.load();
    config.executor.retry.max_attempts = 5;
    std::vector<Diagnostic> problems;
    try {
        manager.save(config);
    } catch (const InvalidConfiguration& e) {
        problems = e.diagnostics();
    }
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].message == "retry.max_attempts cannot be set in this file");
    CHECK(problems[0].hint.find("comments would be lost") != std::string::npos);
    CHECK(read_file(folder / own) == text);
}

TEST_CASE_FIXTURE(ConfigFixture, "what comes from other layers is not written to the file")
{
    write(user, "auto_execution: {retry: {max_attempts: 8}}\n");
    environment.push_back("AUTOEXEC_DEBUG=true");
    auto manager = make();
    auto config = manager.load();
    config.executor.on_busy = OnBusy::wait;
    manager.save(config);
    CHECK(read_file(folder / own) == "auto_execution:\n  version: \"1.1\"\n  on_busy: \"wait\"\n");
    CHECK(manager.load() == config);
}

TEST_CASE_FIXTURE(ConfigFixture, "nothing is saved of what is invalid, or to a file that is")
{
    auto manager = make();
    AutoExecutionConfig config;
    config.executor.retry.max_attempts = -1;
    CHECK_THROWS_AS(manager.save(config), InvalidConfiguration);
    CHECK_FALSE(fs::exists(folder / own));

    const std::string broken = "auto_execution:\n  a: [\n";
    write_own(broken);
    CHECK_THROWS_AS(manager.save(AutoExecutionConfig{}), InvalidConfiguration);
    CHECK(read_file(folder / own) == broken);
}

TEST_CASE_FIXTURE(ConfigFixture, "what differs between two configurations has a name")
{
    AutoExecutionConfig before;
    auto after = before;
    CHECK(changed_settings(before, after).empty());
    after.executor.retry.max_attempts = 9;
    after.executor.durability = Durability::power;
    after.flags["mine"] = true;
    CHECK(changed_settings(before, after) ==
          std::vector<std::string>{"retry.max_attempts", "durability", "features.mine"});
    CHECK(takes_effect_at_once("retry.max_attempts"));
    CHECK_FALSE(takes_effect_at_once("durability"));
}

TEST_CASE("an application decides when it reads its own settings")
{
    CHECK(takes_effect_at_once("extensions.shop.region"));
    CHECK(takes_effect_at_once("features.mine"));
}

TEST_CASE("an origin is shown as a place that a person can go to")
{
    CHECK(to_string(ConfigOrigin{}) == "default");
    CHECK(to_string(ConfigOrigin{ConfigLayer::user_file, "/home/me/config.yaml", 7, 3}) ==
          "/home/me/config.yaml:7");
    CHECK(to_string(ConfigOrigin{ConfigLayer::workflow, "workflow metadata"}) ==
          "workflow metadata");
    CHECK(to_string(ConfigOrigin{ConfigLayer::environment, "AUTOEXEC_DEBUG"}) ==
          "environment AUTOEXEC_DEBUG");
    CHECK(to_string(ConfigOrigin{ConfigLayer::command_line, "--timeout"}) ==
          "command line --timeout");
}

TEST_CASE_FIXTURE(ConfigFixture, "a folder that others can write to is refused, whatever its files")
{
    write_own("auto_execution:\n  debug: true\n");
    fs::permissions(folder / ".tapps-agents", fs::perms(0777));
    auto manager = make();
    CHECK_THROWS_AS(manager.load(), InvalidConfiguration);
    const auto said = to_string(manager.diagnostics());
    CHECK(has(said, "The folder cannot be used: "));
    CHECK(has(said, "chmod go-w"));
}

TEST_CASE_FIXTURE(
    ConfigFixture,
    "a setting within braces or without a section is set, whatever comments are there")
{
    for (const std::string before :
         {"auto_execution: {  # mine\n  retry: {enabled: true},  # ours\n}\n",
          "auto_execution: {  # mine\n}\n", "auto_execution:  # mine\n"}) {
        CAPTURE(before);
        write_own(before);
        auto manager = make();
        auto config = manager.load();
        config.executor.retry.max_attempts = 6;
        config.executor.timeout = std::chrono::seconds{77};
        manager.save(config);
        CHECK(make().load() == config);
        const auto saved = read_file(folder / own);
        CHECK(has(saved, "# mine"));
        CHECK(has(saved, "# ours") == has(before, "# ours"));
    }
}

TEST_SUITE_END();
