#include "config/reloader.hpp"

#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <doctest/doctest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <filesystem>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

constexpr auto own = ".tapps-agents/auto_execution_config.yaml";

/// What a reloader announces of one project.
struct ReloaderFixture {
    TemporaryFolder folder;
    AutoExecutionConfigManager manager{{}, folder.path()};
    std::vector<std::string> changed;
    std::vector<std::string> errors;
    AutoExecutionConfig taken;
    int takes = 0;

    ReloaderFixture()
    {
        manager.set_environment({});
        write("auto_execution:\n  version: \"1.1\"\n");
    }

    void write(const std::string& text) { write_file(folder / own, text); }

    config::Reloader make(std::shared_ptr<AuditLogger> audit = nullptr)
    {
        return {manager, std::move(audit),
                [this](const AutoExecutionConfig& config, const std::vector<std::string>& keys) {
                    taken = config;
                    changed = keys;
                    ++takes;
                },
                [this](const std::vector<Diagnostic>& diagnostics) {
                    for (const auto& d : diagnostics) errors.push_back(d.message);
                }};
    }
};

}  // namespace

TEST_SUITE_BEGIN("config");

TEST_CASE_FIXTURE(ReloaderFixture,
                  "a changed file takes effect as a whole, with the keys that differ")
{
    auto reloader = make();
    reloader.look();
    CHECK(takes == 0);
    write("auto_execution:\n  polling: {timeout_seconds: 7200}\n  debug: true\n");
    reloader.look();
    CHECK(takes == 1);
    CHECK(changed == std::vector<std::string>{"polling.timeout_seconds", "debug"});
    CHECK(taken.executor.timeout == 7200s);
    CHECK(taken.debug);
    reloader.look();
    CHECK(takes == 1);
}

TEST_CASE_FIXTURE(ReloaderFixture,
                  "a file that changes no setting is announced only if that was asked")
{
    auto reloader = make();
    write("# a comment\nauto_execution:\n  version: \"1.1\"\n");
    reloader.look();
    CHECK(takes == 0);
    reloader.look(true);
    CHECK(takes == 1);
    CHECK(changed.empty());
}

TEST_CASE_FIXTURE(ReloaderFixture,
                  "an invalid file is refused once, and the next valid one compared with the last")
{
    write("auto_execution:\n  debug: true\n");
    auto reloader = make();
    write("auto_execution:\n  debug: true\n  retry: {max_attempts: -1}\n");
    reloader.look();
    reloader.look();
    CHECK(takes == 0);
    CHECK(errors == std::vector<std::string>{"retry.max_attempts must be >= 1"});
    write("auto_execution:\n  debug: true\n  retry: {max_attempts: 4}\n  durability: none\n");
    reloader.look();
    CHECK(changed == std::vector<std::string>{"retry.max_attempts", "durability"});
}

TEST_CASE_FIXTURE(ReloaderFixture,
                  "the audit log tells what takes effect now, what later, and what was refused")
{
    boost::asio::io_context ctx;
    const auto clock = std::make_shared<VirtualClock>();
    AuditOptions options;
    options.project_root = folder.path();
    options.clock = clock;
    const auto audit = std::make_shared<AuditLogger>(ctx.get_executor(), options);
    auto reloader = make(audit);
    write("auto_execution:\n  debug: true\n  durability: none\n");
    reloader.look();
    write("auto_execution:\n  debug: maybe\n  dbug: 1\n");
    reloader.look();
    boost::asio::co_spawn(ctx, audit->flush(), boost::asio::detached);
    clock->run(ctx);
    const auto log = read_file(folder / ".tapps-agents/audit/execution_audit.log");
    const auto has = [&log](std::string_view part) { return log.find(part) != log.npos; };
    CHECK(has("config_reloaded"));
    CHECK(has(R"("changed": ["debug"])"));
    CHECK(has(R"("at_next_start": ["durability"])"));
    CHECK(has("config_rejected"));
    CHECK(has("debug must be true or false"));
    CHECK_FALSE(has("dbug"));  // a warning
}

TEST_SUITE_END();
