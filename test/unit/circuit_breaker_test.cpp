#include "executor/circuit_breaker.hpp"
#include "protocol/error_classes.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace autoexec;
using namespace std::chrono_literals;
using State = AgentHealth::State;
using protocol::AgentPhase;
using protocol::phase_of;

namespace {

const WallTime noon = std::chrono::sys_days{std::chrono::year{2026} / 1 / 20} + 12h;

AgentVerdict fails(std::string code = "auth",
                   std::optional<std::chrono::milliseconds> retry_after = {})
{
    return {AgentVerdict::Kind::fails, std::move(code), "no", retry_after};
}

const AgentVerdict works{AgentVerdict::Kind::works, {}, {}, {}};
const AgentVerdict unknown{};

/// An agent whose breaker has opened at noon.
AgentHealth opened(const BreakerOptions& options = {})
{
    AgentHealth health;
    for (int i = 0; i < options.max_failures; ++i)
        (void)note_end(health, fails(), false, options, noon);
    return health;
}

}  // namespace

TEST_SUITE_BEGIN("circuit breaker");

TEST_CASE("the breaker opens at the third failure in a row")
{
    const BreakerOptions options;
    AgentHealth health;
    CHECK(note_end(health, fails(), false, options, noon) == AgentChange::counted);
    CHECK(note_end(health, fails(), false, options, noon) == AgentChange::counted);
    CHECK(access_of(health, options, noon) == AgentAccess::free);
    CHECK(note_end(health, fails(), false, options, noon) == AgentChange::opened);
    CHECK(access_of(health, options, noon) == AgentAccess::none);
    CHECK(next_access(health, noon) == noon + 60s);
    CHECK(health.code == "auth");
}

TEST_CASE("a success ends the count of failures")
{
    const BreakerOptions options;
    AgentHealth health;
    for (int i = 0; i < 2; ++i) (void)note_end(health, fails(), false, options, noon);
    CHECK(note_end(health, works, false, options, noon) == AgentChange::counted);
    CHECK(health == AgentHealth{});
    for (int i = 0; i < 2; ++i)
        CHECK(note_end(health, fails(), false, options, noon) == AgentChange::counted);
}

TEST_CASE("an unknown end neither counts nor ends the count")
{
    const BreakerOptions options;
    AgentHealth health;
    for (int i = 0; i < 2; ++i) (void)note_end(health, fails(), false, options, noon);
    CHECK(note_end(health, unknown, false, options, noon) == AgentChange::none);
    CHECK(health.failures == 2);
}

TEST_CASE("after the cool-down one command tests the agent")
{
    const BreakerOptions options;
    auto health = opened();
    CHECK(access_of(health, options, noon + 59s) == AgentAccess::none);
    CHECK(access_of(health, options, noon + 60s) == AgentAccess::probe);
    health.probe_until = noon + 90s;
    CHECK(access_of(health, options, noon + 60s) == AgentAccess::none);
    CHECK(next_access(health, noon + 60s) == noon + 90s);
    SUBCASE("its success closes the breaker")
    {
        CHECK(note_end(health, works, true, options, noon + 61s) == AgentChange::closed);
        CHECK(health == AgentHealth{});
    }
    SUBCASE("its failure doubles the cool-down")
    {
        CHECK(note_end(health, fails(), true, options, noon + 61s) == AgentChange::opened);
        CHECK(next_access(health, noon + 61s) == noon + 61s + 120s);
    }
    SUBCASE("an unknown end lets the next command test it")
    {
        CHECK(note_end(health, unknown, true, options, noon + 61s) == AgentChange::counted);
        CHECK(access_of(health, options, noon + 61s) == AgentAccess::probe);
    }
    SUBCASE("a killed executor's lease ends")
    {
        CHECK(access_of(health, options, noon + 90s) == AgentAccess::probe);
    }
}

TEST_CASE("the cool-down grows to sixteen times its length")
{
    const BreakerOptions options;
    auto health = opened();
    auto now = noon;
    for (int i = 0; i < 10; ++i) {
        now = health.until;
        (void)note_end(health, fails(), true, options, now);
    }
    CHECK(health.until == now + 16 * 60s);
}

TEST_CASE("what was in flight when the breaker opened changes nothing")
{
    const BreakerOptions options;
    auto health = opened();
    const auto until = health.until;
    CHECK(note_end(health, fails(), false, options, noon + 10s) == AgentChange::none);
    CHECK(note_end(health, fails("rate_limited", 2h), false, options, noon + 10s) ==
          AgentChange::none);
    CHECK(note_end(health, works, false, options, noon + 10s) == AgentChange::none);
    CHECK(health.state == State::open);
    CHECK(health.until == until);
    CHECK(health.code == "auth");
    CHECK(health.message == "no");
}

TEST_CASE("a time that a failure names pauses the agent")
{
    const BreakerOptions options;
    AgentHealth health;
    CHECK(note_end(health, fails("rate_limited", 90s), false, options, noon) ==
          AgentChange::paused);
    CHECK(phase_of(health, noon + 89s) == AgentPhase::paused);
    CHECK(phase_of(health, noon + 90s) == AgentPhase::closed);
    CHECK(health.failures == 0);
    SUBCASE("the later end of two pauses counts")
    {
        CHECK(note_end(health, fails("rate_limited", 10s), false, options, noon + 5s) ==
              AgentChange::none);
        CHECK(health.until == noon + 90s);
        CHECK(note_end(health, fails("rate_limited", 90s), false, options, noon + 5s) ==
              AgentChange::paused);
        CHECK(health.until == noon + 95s);
    }
    SUBCASE("a success of what was in flight does not end it")
    {
        CHECK(note_end(health, works, false, options, noon + 5s) == AgentChange::none);
        CHECK(phase_of(health, noon + 6s) == AgentPhase::paused);
    }
}

TEST_CASE("a pause is limited")
{
    BreakerOptions options;
    AgentHealth health;
    SUBCASE("to its setting")
    {
        (void)note_end(health, fails("rate_limited", 1000h), false, options, noon);
        CHECK(health.until == noon + 6h);
    }
    SUBCASE("zero: the failure is counted instead")
    {
        options.max_pause = 0s;
        CHECK(note_end(health, fails("rate_limited", 90s), false, options, noon) ==
              AgentChange::counted);
        CHECK(health.failures == 1);
    }
}

TEST_CASE("settings of zero ignore what other processes have shared")
{
    BreakerOptions options;
    options.max_failures = 0;
    CHECK(access_of(opened(), options, noon) == AgentAccess::free);
    CHECK(access_of(opened(), options, noon + 2h) == AgentAccess::free);
    options = {};
    options.max_pause = 0s;
    AgentHealth paused;
    (void)note_end(paused, fails("rate_limited", 90s), false, {}, noon);
    CHECK(access_of(paused, options, noon) == AgentAccess::free);
}

TEST_CASE("a failure that the settings do not count leaves no state")
{
    BreakerOptions options;
    options.max_failures = 0;
    AgentHealth health;
    CHECK(note_end(health, fails(), false, options, noon) == AgentChange::none);
    CHECK(health == AgentHealth{});
    CHECK(note_end(health, fails("rate_limited", 90s), false, options, noon) ==
          AgentChange::paused);
}

TEST_CASE("classes of errors about the command say nothing about the agent")
{
    using protocol::AgentReaction;
    for (const auto* code : {"", "context", "refused", "max_turns", "not_started", "timeout",
                             "cancelled", "no_resources", "exit_1", "permission_needed"}) {
        CAPTURE(code);
        CHECK(protocol::reaction_to(code) == AgentReaction::none);
    }
    CHECK(protocol::reaction_to("rate_limited") == AgentReaction::pause);
    CHECK(protocol::reaction_to("overloaded") == AgentReaction::breaker);
    CHECK(protocol::reaction_to("network") == AgentReaction::breaker);
    CHECK(protocol::reaction_to("auth") == AgentReaction::stop);
    CHECK(protocol::reaction_to("quota") == AgentReaction::stop);
    CHECK(protocol::reaction_to("model_not_found") == AgentReaction::stop);
}

TEST_CASE("the state of agents is written and read")
{
    auto open = opened();
    open.probe_until = noon + 20s;
    AgentHealth failed_once;
    (void)note_end(failed_once, fails(), false, {}, noon);
    const protocol::AgentHealthMap agents{{"claude", open}, {"b", failed_once}};
    CHECK(protocol::parse_agent_health(protocol::format_agent_health(agents), noon) == agents);
}

TEST_CASE("a state that no process can have written is dropped")
{
    auto health = opened();
    const auto read = [&](const AgentHealth& written) {
        auto agents = protocol::parse_agent_health(
            protocol::format_agent_health({{"claude", written}}), noon);
        REQUIRE(agents);
        return agents->contains("claude") ? std::optional(agents->at("claude")) : std::nullopt;
    };
    SUBCASE("of the future")
    {
        health.since = noon + 2h;
        CHECK_FALSE(read(health));
    }
    SUBCASE("a pause longer than a day")
    {
        health.until = noon + 1000h;
        REQUIRE(read(health));
        CHECK(read(health)->until == noon + 24h);
    }
    SUBCASE("a lease longer than those of probes")
    {
        health.probe_until = noon + 10h;
        REQUIRE(read(health));
        CHECK(read(health)->probe_until == WallTime{});
    }
}

TEST_CASE("a state that holds nothing back is dropped a day after the last failure")
{
    AgentHealth failed_once;
    (void)note_end(failed_once, fails(), false, {}, noon - 23h);
    (void)note_end(failed_once, fails(), false, {}, noon);
    AgentHealth paused;
    (void)note_end(paused, fails("rate_limited", 90s), false, {}, noon);
    const protocol::AgentHealthMap agents{
        {"closed", failed_once}, {"paused", paused}, {"open", opened()}};
    const auto text = protocol::format_agent_health(agents);
    CHECK(protocol::parse_agent_health(text, noon + 24h)->size() == 3);
    const auto later = protocol::parse_agent_health(text, noon + 24h + 1s);
    REQUIRE(later);
    CHECK(later->size() == 1);
    CHECK(later->contains("open"));
}

TEST_CASE("what is no state of agents is not read")
{
    for (const auto* text : {"", "x", "[]", "{}", R"({"agents": 1})", R"({"agents": {"a": {}})"}) {
        CAPTURE(text);
        CHECK_FALSE(protocol::parse_agent_health(text, noon));
    }
    const auto odd = protocol::parse_agent_health(
        R"({"agents": {"a": 1, "b": {"state": "new"}, "c": {"state": "open", "failures": "x"}}})",
        noon);
    REQUIRE(odd);
    CHECK(odd->size() == 1);
    CHECK(phase_of(odd->at("c"), noon) == AgentPhase::half_open);
}

TEST_CASE("the state has at most a hundred agents")
{
    protocol::AgentHealthMap agents;
    const auto health = opened();
    for (int i = 0; i < 300; ++i) agents.emplace("agent " + std::to_string(i), health);
    const auto text = protocol::format_agent_health(agents);
    CHECK(text.size() < protocol::agent_health_limit);
    CHECK(protocol::parse_agent_health(text, noon)->size() == protocol::max_tracked_agents);
}

TEST_CASE("the reason names the agent, what is wrong, and until when")
{
    auto health = opened();
    CHECK(protocol::reason_of("claude", health, noon) ==
          "agent claude is not signed in: no commands until " + text::shown_time(noon + 1min));
    CHECK(protocol::reason_of("claude", health, noon + 2h) ==
          "agent claude is not signed in: the next command tests it");
    health.probe_until = noon + 2h + 1s;
    CHECK(protocol::reason_of("claude", health, noon + 2h) ==
          "agent claude is not signed in: one command tests it");
    CHECK(protocol::reason_of("claude", {}, noon).empty());
}

TEST_SUITE_END();
