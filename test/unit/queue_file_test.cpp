#include "protocol/queue_file.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <string>

using namespace autoexec;
using namespace autoexec::protocol;
using namespace std::chrono_literals;

namespace {

constexpr char some_id[] = "01920000-0000-7000-8000-00000000abcd";

QueuedRequest full_request()
{
    CommandRequest r(std::vector<std::string>{"make", "a b"}, "/tree");
    r.execution_id = some_id;
    r.workflow_id = "w";
    r.step_id = "s";
    r.timeout = 90s;
    r.expected_artifacts = {"out.txt"};
    r.require_artifacts = true;
    r.max_attempts = 3;
    r.idempotent = true;
    r.agent = "coder";
    r.fallback = {"other"};
    r.env_refs = {"TOKEN"};
    r.max_cost = 0.5;
    r.max_tokens = 1000;
    r.resumed_session = ResumedSession{"session-1", "It failed.", Usage{}};
    r.resumed_session->usage->input_tokens = 5;
    QueuedRequest queued(std::move(r));
    queued.submitted_at = text::parse_iso("2026-01-20T21:00:36.129110+00:00");
    queued.request.priority = -3;
    queued.directory = "/here";
    queued.owner = "run";
    queued.rerun_of = "earlier";
    return queued;
}

// The file of the full request with one member of its command, or of its top, replaced.
std::string changed(const char* key, const boost::json::value& value)
{
    auto file = boost::json::parse(format_queued(full_request())).as_object();
    auto& command = file["command"].as_object();
    (file.contains(key) ? file : command)[key] = value;
    return boost::json::serialize(file);
}

std::string problem_of(const std::string& text)
{
    std::string problem;
    CHECK_FALSE(parse_queued(text, problem));
    return problem;
}

}  // namespace

TEST_SUITE_BEGIN("queue files");

TEST_CASE("a queued request is read back as it was written")
{
    auto queued = full_request();
    std::string problem;
    auto again = parse_queued(format_queued(queued), problem);
    REQUIRE(again);
    CHECK(format_queued(*again) == format_queued(queued));
    CHECK(again->request.argv == queued.request.argv);
    CHECK(again->request.worktree == "/tree");
    CHECK(again->request.timeout == 90s);
    CHECK(again->request.max_attempts == 3);
    CHECK(again->request.require_artifacts);
    CHECK(again->request.fallback == queued.request.fallback);
    CHECK(again->submitted_at == queued.submitted_at);
    CHECK(again->request.priority == -3);
    CHECK(again->owner == "run");
    CHECK(again->request.resumed_session == queued.request.resumed_session);
    CHECK(again->rerun_of == "earlier");

    queued.created_worktree = "tree";
    again = parse_queued(format_queued(queued), problem);
    REQUIRE(again);
    CHECK(again->created_worktree == "tree");
    CHECK(again->request.worktree == "/tree");
    queued.created_worktree.clear();

    queued.request.worktree.clear();
    queued.new_worktree = {"tree", "0123abc", true};
    again = parse_queued(format_queued(queued), problem);
    REQUIRE(again);
    CHECK(again->new_worktree == queued.new_worktree);
    CHECK(again->request.worktree.empty());
}

TEST_CASE("keys that are unknown in a queued request are ignored, unknown versions are refused")
{
    std::string problem;
    CHECK(parse_queued(changed("later", 1), problem));
    CHECK(parse_queued(changed("version", "1.7"), problem));
    CHECK(problem_of(changed("version", "2.0")).find("'2.0' is unknown") != std::string::npos);
    CHECK_FALSE(problem_of(changed("version", 1)).empty());
}

TEST_CASE("a queued request that is not exact is none")
{
    for (const auto& [key, value] :
         std::initializer_list<std::pair<const char*, boost::json::value>>{
             {"id", "../../etc/passwd"},
             {"id", "01920000-0000-7000-8000-00000000ABCD"},
             {"command", "text"},
             {"priority", 1001},
             {"priority", "high"},
             {"worktree", "relative"},
             {"worktree", nullptr},
             {"argv", boost::json::array{"make", 1}},
             {"argv", boost::json::array{""}},
             {"timeout_ms", 0},
             {"retry", -1},
             {"env", boost::json::array{"A=b"}},
             {"max_cost", -1},
             {"max_tokens", -1},
             {"idempotent", "yes"},
             {"resume", boost::json::object{{"session", "a b"}}},
             {"new_worktree", boost::json::object{{"name", "n"}, {"commit", "c"}}},
             {"created_worktree", 1},
         }) {
        CAPTURE(std::string(key));
        CHECK_FALSE(problem_of(changed(key, value)).empty());
    }
    CHECK_FALSE(problem_of(changed("worktree", boost::json::string("/with\0nul", 9))).empty());
    for (const char* text : {"", "{", "[]", "{}", "null"}) CHECK_FALSE(problem_of(text).empty());
}

TEST_CASE("the result of a queued command is read back")
{
    QueuedResult result;
    result.id = some_id;
    result.ended_at = text::parse_iso("2026-01-20T21:00:36+00:00");
    result.internal_error = true;
    result.result = {{"status", "failed"}, {"attempts", 0}};
    std::string problem;
    CHECK_FALSE(request_in(result, problem));
    CHECK(problem == "Its request was not kept.");
    result.request = json_of_request(full_request());
    const auto again = parse_queued_result(format_queued_result(result), problem);
    REQUIRE(again);
    CHECK(again->id == some_id);
    CHECK(again->ended_at == result.ended_at);
    CHECK(again->internal_error);
    CHECK_FALSE(again->reported_at);
    CHECK(again->result == result.result);
    const auto request = request_in(*again, problem);
    REQUIRE(request);
    CHECK(format_queued(*request) == format_queued(full_request()));
    CHECK_FALSE(parse_queued_result(format_queued(full_request()), problem));
    CHECK_FALSE(problem.empty());
}

TEST_CASE("the text of the engine's lock is read back, and an incomplete one is none")
{
    QueueEngineFile engine;
    engine.pid = 42;
    engine.host = "h";
    engine.version = "1.2.3";
    engine.variables = {"HOME", "PATH"};
    engine.log = "/log";
    const auto text = format_queue_engine(engine);
    const auto again = parse_queue_engine(text);
    REQUIRE(again);
    CHECK(again->pid == 42);
    CHECK(again->variables == engine.variables);
    CHECK(again->log == "/log");
    for (std::size_t size = 0; size < text.find_last_of('}'); ++size)
        CHECK_FALSE(parse_queue_engine(text.substr(0, size)));
}

TEST_SUITE_END();
