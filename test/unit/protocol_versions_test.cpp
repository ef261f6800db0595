#include "protocol/command_file.hpp"
#include "protocol/status.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <filesystem>
#include <string>

using namespace autoexec;
using namespace autoexec::test;

namespace {

constexpr char attempt_id[] = "0198c2f5-7ba1-7c22-9e4f-ba9876543210";

std::string sample(const std::string& name)
{
    auto text = read_file(std::filesystem::path(AUTOEXEC_SOURCE_DIR) / "test/data/v1.1" / name);
    REQUIRE_MESSAGE(!text.empty(), name);
    return text;
}

AgentStatus status_of(const std::string& text)
{
    auto reading = protocol::parse_status(text);
    REQUIRE_MESSAGE(reading.kind == protocol::StatusReading::Kind::valid, reading.problem);
    CHECK(reading.status.warnings.empty());
    return std::move(reading.status);
}

// Keys of version 1.2.
std::string with_later_keys(const std::string& text)
{
    auto object = boost::json::parse(text).as_object();
    object["waiting_for"] = {{"kind", "permission"},
                             {"id", "1"},
                             {"text", "Run make test"},
                             {"since", "2026-01-20T21:00:40+00:00"}};
    object["usage"] = {{"input_tokens", 1200}, {"output_tokens", 300}, {"cost_usd", 0.25}};
    return boost::json::serialize(object);
}

}  // namespace

TEST_SUITE_BEGIN("protocol");

TEST_CASE("a command file of version 1.1 is read")
{
    std::string problem;
    const auto file = protocol::parse_command(sample("command.json"), problem);
    REQUIRE_MESSAGE(file, problem);
    CHECK(problem.empty());
    CHECK(file->command == "make -j2 'all targets'");
    CHECK(file->attempt_id == attempt_id);
    CHECK(file->attempt == 1);
    CHECK(file->agent == "builder");
    CHECK(file->env_refs.size() == 1);
    CHECK(file->deadline_seconds == 3600);
}

TEST_CASE("a cancel file of version 1.1 is read")
{
    const auto cancel = protocol::parse_cancel(sample("cancel.json"));
    REQUIRE(cancel);
    CHECK(cancel->attempt_id == attempt_id);
    CHECK(cancel->reason == "timeout");
}

TEST_CASE("the status files of version 1.1 are read")
{
    const auto running = status_of(sample("status-running.json"));
    CHECK(running.status == ReportedStatus::running);
    CHECK(running.attempt_id == attempt_id);
    CHECK(running.sequence == 3);
    const auto completed = status_of(sample("status-completed.json"));
    CHECK(completed.status == ReportedStatus::completed);
    CHECK(completed.exit_code == 0);
    const auto failed = status_of(sample("status-failed.json"));
    CHECK(failed.status == ReportedStatus::failed);
    REQUIRE(failed.error);
    CHECK_FALSE(failed.error->message.empty());
}

TEST_CASE("the keys of version 1.2 change nothing else in a status")
{
    for (const auto* const name : {"status-running.json", "status-completed.json"}) {
        const auto plain = status_of(sample(name));
        const auto more = status_of(with_later_keys(sample(name)));
        CHECK(more.status == plain.status);
        CHECK(more.attempt_id == plain.attempt_id);
        CHECK(more.output == plain.output);
        CHECK(more.usage.value_or(Usage{}).input_tokens == 1200);
    }
}

TEST_SUITE_END();
