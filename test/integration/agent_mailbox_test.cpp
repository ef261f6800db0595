#include "handoff/agent_mailbox.hpp"

#include "protocol/control_files.hpp"
#include "support/descriptor_limit.hpp"
#include "support/engine_side.hpp"
#include "support/planted.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <optional>
#include <thread>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using handoff::AgentMailbox;
using State = handoff::AgentMailbox::Found::State;

namespace {

struct BoxFixture {
    TemporaryFolder folder;
    EngineSide engine{folder / "tree"};
    const std::filesystem::path& tree = engine.tree();
    std::unique_ptr<AgentMailbox> box = open();

    std::unique_ptr<AgentMailbox> open() const
    {
        return AgentMailbox::open(tree, control_files::status);
    }

    std::size_t claims() const
    {
        std::size_t n = 0;
        for (const auto& entry :
             std::filesystem::directory_iterator(tree / control_files::claims_folder))
            n += entry.path().filename() == ".lock" ? 0U : 1U;
        return n;
    }
};

}  // namespace

TEST_SUITE_BEGIN("agent_box");

TEST_CASE_FIXTURE(BoxFixture, "of agents that claim at the same time exactly one gets the attempt")
{
    constexpr int agents = 4;
    for (int round = 0; round < 100; ++round) {
        engine.publish();
        std::latch ready(agents);
        std::atomic<int> won = 0;
        std::vector<std::unique_ptr<AgentMailbox>> boxes(agents);  // hold their claims to the end
        std::vector<std::thread> threads;
        for (auto& mine : boxes)
            threads.emplace_back([&] {
                mine = open();
                const auto found = mine->find(false);
                ready.arrive_and_wait();
                if (found.state == State::command && mine->claim(found, "agent")) ++won;
            });
        for (auto& thread : threads) thread.join();
        CHECK(won == 1);
        CHECK(engine.claim() == ClaimState::live);
        CHECK(claims() == 1);
        boxes.clear();
        engine.clean();
    }
}

TEST_CASE_FIXTURE(BoxFixture,
                  "of an executor that withdraws and an agent that claims one sees the other")
{
    for (int round = 0; round < 200; ++round) {
        engine.publish();
        auto mine = open();
        const auto found = mine->find(false);
        std::latch ready(2);
        bool claimed = false;
        std::thread agent([&] {
            ready.arrive_and_wait();
            claimed = mine->claim(found, "agent");
        });
        ready.arrive_and_wait();
        engine.withdraw();
        const bool seen = engine.claim() != ClaimState::none;
        agent.join();
        CHECK((seen || !claimed));  // else it runs what the executor takes for not started
        mine.reset();
        engine.clean();
    }
}

TEST_CASE_FIXTURE(BoxFixture, "a claim is dropped when the command is not the same any more")
{
    const auto first = engine.publish();
    const auto found = box->find(false);
    REQUIRE(found.state == State::command);
    SUBCASE("withdrawn")
    {
        engine.withdraw();
    }
    SUBCASE("cancelled")
    {
        engine.ask_to_stop();
    }
    SUBCASE("another attempt")
    {
        engine.publish();
    }
    SUBCASE("another executor's, with the same id")
    {
        auto other = first;
        other.command = "something else";
        engine.publish(other);
    }
    SUBCASE("its executor died")
    {
        engine.die();
    }
    CHECK_FALSE(box->claim(found, "agent"));
    CHECK(claims() == 0);
    CHECK_FALSE(engine.has(control_files::status));
    engine.die();
}

TEST_CASE_FIXTURE(BoxFixture, "a legacy command that was rewritten in its place is another one")
{
    auto command = EngineSide::command();
    command.attempt_id = command.execution_id = "";
    engine.publish_unlocked(command);
    const auto found = box->find(true);
    REQUIRE(found.state == State::command);
    command.command = "something else";
    engine.publish_unlocked(command);
    std::filesystem::last_write_time(
        tree / control_files::command,
        std::filesystem::file_time_type::clock::now() + std::chrono::seconds(2));
    CHECK_FALSE(box->claim(found, "agent"));
    CHECK(box->claim(box->find(true), "agent"));
}

TEST_CASE_FIXTURE(BoxFixture, "nothing but a regular file is read as a command or a cancel")
{
    engine.publish();
    const auto found = box->find(false);
    const auto text = read_file(tree / control_files::command);
    write_file(folder / "elsewhere", text);
    for (const auto kind : all_planted) {
        CAPTURE(name_of(kind));
        std::filesystem::remove_all(tree / control_files::command);
        if (!plant(kind, tree / control_files::command, folder / "elsewhere")) continue;
        CHECK(box->find(false).state == State::foreign);
        CHECK_FALSE(box->find(false).problem.empty());
        CHECK_FALSE(box->claim(found, "agent"));
    }
    protocol::CancelFile cancel;
    cancel.attempt_id = found.command.attempt_id;
    write_file(folder / "cancel", protocol::format_cancel(cancel));
    for (const auto kind : all_planted) {
        CAPTURE(name_of(kind));
        std::filesystem::remove_all(tree / control_files::cancel);
        if (!plant(kind, tree / control_files::cancel, folder / "cancel")) continue;
        CHECK_FALSE(box->cancel_reason(found.command));
    }
}

TEST_CASE_FIXTURE(BoxFixture, "a status is written, whatever has taken its place")
{
    engine.publish();
    write_file(folder / "elsewhere", "precious");
    for (const auto kind : all_planted) {
        CAPTURE(name_of(kind));
        std::filesystem::remove(tree / control_files::status);
        if (!plant(kind, tree / control_files::status, folder / "elsewhere")) continue;
        if (kind == Planted::directory) write_file(tree / control_files::status / "file", "");
        CHECK_FALSE(box->write_status(R"({"status": "completed"})"));
        REQUIRE(engine.status());
        CHECK(engine.status()->is_final());
        CHECK(read_file(folder / "elsewhere") == "precious");
    }
}

TEST_CASE_FIXTURE(BoxFixture, "an agent tells why it has to stop")
{
    const auto file = engine.publish();
    CHECK_FALSE(box->cancel_reason(file));
    for (const std::string reason : {"timeout", "interrupted", "cancelled"}) {
        engine.ask_to_stop(reason);
        CHECK(box->cancel_reason(file) == reason);
    }
    for (const std::string reason : {"", "agent_stopped", "a later word"}) {
        engine.ask_to_stop(reason);
        CHECK(box->cancel_reason(file) == "cancelled");
    }
    CHECK_FALSE(box->cancel_reason(EngineSide::command()));
}

TEST_CASE_FIXTURE(BoxFixture,
                  "without a descriptor left a result is written, but nothing is claimed")
{
    engine.publish();
    const auto found = box->find(false);
    std::optional<FewDescriptorsLeft> none;
    SUBCASE("when it looks")
    {
        none.emplace(0);
        CHECK(box->find(false).state != State::command);
    }
    SUBCASE("when it claims")
    {
        none.emplace(0);
        CHECK_FALSE(box->claim(found, "agent"));
    }
    SUBCASE("when it reports") {}
    if (none) {
        CHECK(box->lacks_resources());
        none.reset();
        CHECK(box->find(false).state == State::command);
        CHECK_FALSE(box->lacks_resources());
        return;
    }
    REQUIRE(box->claim(found, "agent"));
    none.emplace(0);
    const auto ec = box->write_status(R"({"status": "completed"})");
    none.reset();
    CHECK_FALSE(ec);
    CHECK(engine.status()->is_final());
}

TEST_CASE_FIXTURE(BoxFixture, "the command file of the next attempt is not removed for this one")
{
    engine.publish();
    const auto found = box->find(false);
    engine.publish();
    box->remove_command(found);
    CHECK(engine.has(control_files::command));
    box->remove_command(box->find(false));
    CHECK_FALSE(engine.has(control_files::command));
}

TEST_CASE_FIXTURE(BoxFixture, "an artifact counts only inside the worktree")
{
    write_file(tree / "in/file", "x");
    write_file(folder / "outside", "x");
    std::filesystem::create_symlink("in", tree / "link");
    std::filesystem::create_symlink("../outside", tree / "way-out");
    CHECK(box->has_artifact("in/file"));
    CHECK(box->has_artifact("link/file"));
    CHECK(box->has_artifact("in"));
    CHECK_FALSE(box->has_artifact("missing"));
    CHECK_FALSE(box->has_artifact("way-out"));
    CHECK_FALSE(box->has_artifact("../outside"));
    CHECK_FALSE(box->has_artifact((folder / "outside").string()));
}

TEST_CASE_FIXTURE(BoxFixture, "a worktree that was moved away or replaced is lost")
{
    CHECK_FALSE(box->lost());
    std::filesystem::rename(tree, folder / "moved");
    CHECK(box->lost());
    std::filesystem::create_directory(tree);
    CHECK(box->lost());
    CHECK_FALSE(AgentMailbox::open(folder / "nowhere", control_files::status));
}

TEST_SUITE_END();
