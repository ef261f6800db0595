#include "cli/session/display.hpp"
#include "cli/session/color.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::cli;

TEST_SUITE_BEGIN("display");

TEST_CASE("the excerpt of a failed command has its last lines, safe to show")
{
    ExecutionResult result;
    result.status = ExecutionStatus::failed;
    CHECK(excerpt_of(result).empty());
    result.output = "\n\n";
    CHECK(excerpt_of(result).empty());
    result.output = "one\n\ntwo\x1b[2J\r\n\n";
    CHECK(excerpt_of(result) == "  | one\n  | two\\x1b[2J\n");
    result.output = std::string(500, 'x');
    CHECK(excerpt_of(result) == "  | " + std::string(160, 'x') + "…\n");
    result.output.clear();
    for (int i = 1; i <= 30; ++i) result.output += "line " + std::to_string(i) + "\n";
    const auto excerpt = excerpt_of(result);
    CHECK(excerpt.starts_with("  | line 21\n"));
    CHECK(std::count(excerpt.begin(), excerpt.end(), '\n') == 10);
    result.status = ExecutionStatus::timeout;
    CHECK(excerpt_of(result) == excerpt);
    for (const auto status : {ExecutionStatus::completed, ExecutionStatus::cancelled}) {
        result.status = status;
        CHECK(excerpt_of(result).empty());
    }
}

TEST_CASE("commands that wait for a slot have places, by priority and by their turn")
{
    SlotQueue queue;
    const auto send = [&queue](const char* id, EventType type, int priority = 0) {
        Event event;
        event.execution_id = id;
        event.type = type;
        event.details["priority"] = priority;
        queue.publish(event);
    };
    send("b", EventType::waiting_for_slot);
    send("a", EventType::waiting_for_slot);
    send("first", EventType::waiting_for_slot, 5);
    send("last", EventType::waiting_for_slot, -5);
    send("b", EventType::waiting_for_slot);  // again: it keeps its place
    CHECK(queue.first(9) == std::vector<std::string>{"first", "b", "a", "last"});
    CHECK(queue.first(1) == std::vector<std::string>{"first"});
    CHECK(queue.place_of("b") == 2);
    CHECK(queue.place_of("last") == 4);
    CHECK(queue.place_of("other") == 0);
    send("b", EventType::command_detected);
    CHECK(queue.place_of("a") == 2);
    CHECK_FALSE(queue.contains("b"));
    send("b", EventType::waiting_for_slot);  // for a retry
    CHECK(queue.place_of("b") == 3);
    queue.erase("first");
    queue.erase("first");
    CHECK(queue.size() == 3);
    CHECK(queue.place_of("a") == 1);
}

TEST_CASE("a coloured state is as wide as a plain one")
{
    set_color("always");
    CHECK(colored_state("failed", 9, STDOUT_FILENO) == "\x1b[31mfailed\x1b[m   ");
    CHECK(colored_state("queued", 9, STDOUT_FILENO) == "queued   ");
    set_color("never");
    CHECK(colored_state("failed", 9, STDOUT_FILENO) == "failed   ");
    CHECK_THROWS_AS(set_color("red"), Failure);
    set_color("auto");
}

TEST_SUITE_END();
