#include "support/asking_project.hpp"

#include <doctest/doctest.h>
#include <boost/json/value.hpp>

#include <algorithm>

namespace autoexec::test {
namespace {

constexpr std::string_view asking_program = R"(#!/bin/sh
read -r line; echo '{"id":1,"result":{"protocolVersion":1}}'
read -r line; echo '{"id":2,"result":{"sessionId":"s"}}'
read -r prompt
ask() {
echo '{"id":"q","method":"session/request_permission","params":{"toolCall":{"toolCallId":"t",
"kind":"execute","title":"Run the tests","rawInput":{"command":"make test"}},"options":[
{"optionId":"yes","kind":"allow_once"},{"optionId":"no","kind":"reject_once"}]}}' | tr -d '\n'
echo
read -r answer
}
[ -z "$BEFORE" ] || eval "$BEFORE"
ask
reason=end_turn
case $answer in
*'"yes"'*) touch allowed ;;
*'"no"'*) touch denied ;;
*) reason=cancelled ;;
esac
echo "{\"id\":3,\"result\":{\"stopReason\":\"$reason\"}}"
while read -r line; do :; done
)";

}  // namespace

AskingProject::AskingProject()
{
    write("ask", asking_program);
    fs::permissions(root() / "ask", fs::perms::owner_all);
    add_agent("asking", (root() / "ask").string(),
              {"driver: acp", "permissions: [{kind: execute, command: make, allow: ask}]"});
}

std::string AskingProject::wait_for_question() const
{
    std::string id;
    const bool waits = eventually([&] {
        for (const auto& entry : objects_of(run({"status", "--json"}).out))
            if (entry.contains("waiting_for") && entry.at("waiting_for").is_object())
                id = text_at(entry, "execution_id");
        return !id.empty();
    });
    REQUIRE(waits);
    return id;
}

Words AskingProject::allowing(const std::string& id) const
{
    const auto shown = objects_of(run({"answer", id, "--json"}).out).at(0);
    return {"answer",     text_at(shown, "attempt_id"),
            "--question", text_at(shown.at("waiting_for").as_object(), "id"),
            "--option",   "allow"};
}

std::size_t AskingProject::count(std::string_view event_type) const
{
    const auto events = audit();
    return static_cast<std::size_t>(std::count_if(
        events.begin(), events.end(),
        [&](const auto& event) { return text_at(event, "event_type") == event_type; }));
}

}  // namespace autoexec::test
