#include "autoexec/session.hpp"
#include "autoexec/testing/fixtures.hpp"
#include "handoff/agent_mailbox.hpp"
#include "handoff/file_handoff.hpp"
#include "protocol/question_format.hpp"
#include "support/agent_fixture.hpp"
#include "support/executor_fixture.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>

// Answers on their way from an executor to its agent.

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string answer_text(const std::string& attempt_id, const Question& question)
{
    return protocol::format_answer(
        {attempt_id, {question.id, "allow", {}}, protocol::digest_of(question)});
}

// A session whose program asks for permission, in virtual time.
struct AskingSession {
    AskingSession()
    {
        make_git_folder(tree);
        options.executor.project_root = project.path();
        options.executor.clock = clock;
        options.executor.enable_audit = false;
        options.executor.enable_metrics = false;
        options.executor.retry.max_attempts = 1;
        options.agent.spawner = spawner;
        options.agents = agents_from(R"(
agents:
  - name: fake
    type: background
    driver: acp
    commands: [fake]
    permissions: [{allow: ask}]
)");
        session = std::make_unique<Session>(ctx, options);
        session->executor().subscribe(sink);
        session->async_run({"build", tree},
                           [this](error_code, ExecutionResult r) { result = std::move(r); });
        run_for(1s);
        say(R"({"id":1,"result":{"protocolVersion":1}})");
        say(R"({"id":2,"result":{"sessionId":"s"}})");
        spawner->last().input.clear();
        say(R"({"id":7,"method":"session/request_permission","params":{"toolCall":{"title":"x"},)"
            R"("options":[{"optionId":"y","kind":"allow_once"},{"optionId":"n","kind":)"
            R"("reject_once"}]}})");
        run_for(1s);
    }
    ~AskingSession()
    {
        say(R"({"id":3,"result":{"stopReason":"end_turn"}})");
        spawner->last().exit(0);
        clock->run(ctx);
        CHECK(result.status == ExecutionStatus::completed);
        CHECK_FALSE(fs::exists(tree / ".git/autoexec/answers"));
    }
    AskingSession(const AskingSession&) = delete;
    AskingSession& operator=(const AskingSession&) = delete;

    void say(const std::string& line) const { spawner->last().print(line + "\n"); }
    void run_for(std::chrono::nanoseconds t) { clock->run_until(ctx, clock->elapsed() + t); }
    [[nodiscard]] const Event& asked() const
    {
        for (const auto& event : sink->events)
            if (event.type == EventType::input_needed) return event;
        FAIL("nothing was asked");
        return sink->events.front();
    }

    TemporaryFolder project;
    fs::path tree = project / "tree";
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<ScriptedSpawner> spawner = std::make_shared<ScriptedSpawner>();
    std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
    SessionOptions options;
    ExecutionResult result;
    asio::io_context ctx;
    std::unique_ptr<Session> session;
};

// Both sides of one attempt that an agent of another process has claimed.
struct TwoSides {
    TwoSides()
    {
        make_git_folder(engine.tree());
        engine.publish();
        agent = handoff::AgentMailbox::open(engine.tree(), control_files::status);
        REQUIRE(agent);
        const auto found = agent->find(false);
        REQUIRE(agent->claim(found, "agent"));
    }
    ~TwoSides()
    {
        agent->release(false);
        engine.clean();
        CHECK_FALSE(fs::exists(engine.tree() / ".git/autoexec/answers"));
    }
    TwoSides(const TwoSides&) = delete;
    TwoSides& operator=(const TwoSides&) = delete;

    [[nodiscard]] const std::string& id() const { return engine.published().attempt_id; }
    [[nodiscard]] fs::path file() const { return engine.tree() / ".git/autoexec/answers" / id(); }

    TemporaryFolder project;
    EngineSide engine{project / "tree"};
    std::unique_ptr<handoff::AgentMailbox> agent;
    const Question question{QuestionKind::permission, "1", "x", {{"allow", "Allow"}}, {}};
};

}  // namespace

TEST_SUITE_BEGIN("answers");

TEST_CASE_FIXTURE(AskingSession, "an application answers what its agent asks")
{
    const auto& event = asked();
    CHECK(event.question->kind == QuestionKind::permission);
    CHECK(spawner->last().input.empty());
    session->executor().answer(event.attempt_id, {event.question->id, "allow", ""});
    run_for(1s);
    CHECK(contains(spawner->last().input, R"("optionId":"y")"));
    CHECK(sink->count(EventType::input_ended) == 1);
}

TEST_CASE_FIXTURE(AskingSession,
                  "within a process an answer in the git directory counts for nothing")
{
    const auto& event = asked();
    const auto seen = testing::read_status_file(tree)->waiting_for.value();
    fs::create_directories(tree / ".git/autoexec/answers");
    write_file(tree / ".git/autoexec/answers" / event.attempt_id,
               answer_text(event.attempt_id, seen));
    run_for(30s);
    CHECK(spawner->last().input.empty());
    CHECK(sink->count(EventType::input_ended) == 0);
}

TEST_CASE_FIXTURE(TwoSides, "an answer reaches an agent of another process once")
{
    CHECK_FALSE(agent->take_answer(id()));
    engine.answer(answer_text(id(), question));
    CHECK(fs::exists(file()));
    const auto file_read = agent->take_answer(id());
    REQUIRE(file_read);
    CHECK(file_read->answer.option == "allow");
    CHECK_FALSE(fs::exists(file()));
    CHECK_FALSE(agent->take_answer(id()));
}

TEST_CASE_FIXTURE(TwoSides, "an answer that is not read is removed with the attempt")
{
    engine.answer(answer_text(id(), question));
    CHECK(fs::exists(file()));
}

TEST_CASE_FIXTURE(TwoSides, "an answer is not read through a link, or from what is no file")
{
    fs::create_directories(file().parent_path());
    write_file(project / "elsewhere", answer_text(id(), question));
    SUBCASE("a link")
    {
        fs::create_symlink(project / "elsewhere", file());
    }
    SUBCASE("a FIFO")
    {
        REQUIRE(::mkfifo(file().c_str(), 0600) == 0);
    }
    SUBCASE("an answer for another attempt")
    {
        write_file(file(), answer_text("other", question));
    }
    CHECK_FALSE(agent->take_answer(id()));
    CHECK(fs::exists(project / "elsewhere"));
}

TEST_CASE("outside git, an agent of another process gets no answer")
{
    const TemporaryFolder project;
    EngineSide engine(project / "tree");
    engine.publish();
    error_code ec;
    std::string why;
    const auto mailbox = handoff::file_handoff()->open(engine.tree(), ec, why);
    CHECK(mailbox->answer(engine.published().attempt_id, "x") ==
          boost::system::errc::not_supported);
    engine.clean();
}

TEST_SUITE_END();
