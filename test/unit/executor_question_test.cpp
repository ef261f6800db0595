#include "protocol/layout.hpp"
#include "protocol/question_format.hpp"
#include "protocol/running_files.hpp"
#include "records/running.hpp"
#include "support/executor_fixture.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

// A command that waits for a person: announced, answered, ended.

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

struct QuestionFixture : ExecutorFixture {
    static Question permission(std::string id = "1", std::string text = "Run make test")
    {
        Question question{QuestionKind::permission, std::move(id), std::move(text), {}, {}};
        question.options = {{"allow", "Allow it once"}, {"deny", "Deny it"}};
        return question;
    }
    void ask(std::optional<Question> question)
    {
        auto status = tree.status(ReportedStatus::running);
        status.waiting_for = std::move(question);
        tree.write(status);
    }
    void ask_at(std::chrono::nanoseconds t, std::optional<Question> question)
    {
        clock->at(t, [this, question = std::move(question)] {
            tree.take();
            ask(question);
        });
    }
    void take_prompts_at(std::chrono::nanoseconds t, std::int64_t taken,
                         std::optional<Question> question = {})
    {
        clock->at(t, [this, taken, question = std::move(question)] {
            tree.take();
            auto status = tree.status(ReportedStatus::running);
            status.prompts_taken = taken;
            status.waiting_for = question;
            tree.write(status);
        });
    }
    void say_at(std::chrono::nanoseconds t, std::string prompt)
    {
        clock->at(t, [this, prompt] { executor->say(tree.attempt_id(), prompt); });
    }
    void end_with_prompts_at(std::chrono::nanoseconds t, std::int64_t taken)
    {
        clock->at(t, [this, taken] {
            auto status = tree.status(ReportedStatus::completed);
            status.prompts_taken = taken;
            tree.report(std::move(status));
        });
    }
    void end_at(std::chrono::nanoseconds t)
    {
        clock->at(t, [this] { tree.complete(); });
    }
    void answer_at(std::chrono::nanoseconds t, Answer answer)
    {
        clock->at(t, [this, answer] { executor->answer(tree.attempt_id(), answer); });
    }
    // As another process does.
    void put_at(std::chrono::nanoseconds t, Answer answer)
    {
        clock->at(t, [this, answer] {
            const auto text = protocol::format_answer({tree.attempt_id(), answer, {}});
            CHECK_FALSE(records::put_answer(project.path(), tree.attempt_id(), text));
        });
    }
    [[nodiscard]] std::optional<Question> recorded() const
    {
        const auto running = records::list_running(project.path());
        REQUIRE(running.size() == 1);
        CHECK(running.front().alive);
        return running.front().record.waiting_for;
    }
    [[nodiscard]] const Event& event(EventType type) const
    {
        for (const auto& e : sink->events)
            if (e.type == type) return e;
        FAIL("no such event");
        return sink->events.front();
    }
    [[nodiscard]] std::string outcome() const
    {
        return event(EventType::input_ended).details.at("outcome").as_string().c_str();
    }
};

}  // namespace

TEST_SUITE_BEGIN("executor");

TEST_CASE_FIXTURE(QuestionFixture, "a question is announced, recorded, and ends with its answer")
{
    ask_at(2s, permission());
    clock->at(6s, [&] { CHECK(recorded() == permission()); });
    SUBCASE("by the application")
    {
        answer_at(7s, {"1", "allow", ""});
    }
    SUBCASE("by another process")
    {
        put_at(7s, {"1", "allow", ""});
    }
    clock->at(8s, [&] {
        REQUIRE(tree.answer);
        CHECK(tree.answer->answer == Answer{"1", "allow", ""});
        CHECK(tree.answer->digest == protocol::digest_of(permission()));
        CHECK(recorded());
        ask({});
    });
    clock->at(10s, [&] { CHECK_FALSE(recorded()); });
    end_at(12s);
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(sink->count(EventType::input_needed) == 1);
    CHECK(event(EventType::input_needed).question == permission());
    CHECK(sink->count(EventType::input_ended) == 1);
    CHECK(outcome() == "answered");
}

TEST_CASE_FIXTURE(QuestionFixture, "prompts are passed on until the agent has taken them")
{
    using Prompts = std::vector<std::string>;
    const auto record = [&] {
        return records::list_running(project.path()).at(0).record.prompts_taken;
    };
    clock->at(1s, [&] { CHECK_FALSE(record()); });
    take_prompts_at(2s, 0);
    clock->at(6s, [&] { CHECK(record() == 0); });
    SUBCASE("by the application")
    {
        say_at(7s, "one");
    }
    SUBCASE("by another process")
    {
        clock->at(7s, [&] {
            protocol::AnswerFile file{tree.attempt_id(), {}, {}};
            file.prompts = {"one"};
            CHECK_FALSE(records::put_answer(project.path(), tree.attempt_id(),
                                            protocol::format_answer(file)));
        });
    }
    clock->at(8s, [&] {
        REQUIRE(tree.answer);
        CHECK(tree.answer->prompts == Prompts{"one"});
        CHECK(tree.answer->answer.question_id.empty());
        tree.answer.reset();  // the agent misses it
    });
    clock->at(10s, [&] {
        REQUIRE(tree.answer);
        CHECK(tree.answer->prompts == Prompts{"one"});
    });
    say_at(11s, "two");
    clock->at(12s, [&] {
        CHECK(tree.answer->prompts == Prompts{"one", "two"});
        CHECK(tree.answer->earlier_prompts == 0);
    });
    take_prompts_at(13s, 1);
    clock->at(19s, [&] {
        CHECK(record() == 1);
        CHECK(tree.answer->prompts == Prompts{"two"});
        CHECK(tree.answer->earlier_prompts == 1);
    });
    end_with_prompts_at(20s, 2);
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.warnings.empty());
    CHECK(sink->count(EventType::prompt_sent) == 2);
    CHECK(event(EventType::prompt_sent).details.at("text") == "one");
}

TEST_CASE_FIXTURE(QuestionFixture, "the record names the prompts that the agent has taken")
{
    using Ids = std::vector<std::string>;
    const auto taken = [&] {
        return records::list_running(project.path()).at(0).record.taken_prompts;
    };
    const auto put_at_second = [&](std::chrono::seconds t, const std::string& id) {
        clock->at(t, [this, id] {
            protocol::AnswerFile file{tree.attempt_id(), {}, {}};
            file.prompts = {"text"};
            file.prompt_id = id;
            CHECK_FALSE(records::put_answer(project.path(), tree.attempt_id(),
                                            protocol::format_answer(file)));
        });
    };
    take_prompts_at(2s, 0);
    put_at_second(7s, "first");
    put_at_second(8s, "second");
    say_at(9s, "third");
    take_prompts_at(13s, 1);
    clock->at(19s, [&] { CHECK(taken() == Ids{"first"}); });
    take_prompts_at(20s, 3);
    clock->at(29s, [&] { CHECK(taken() == Ids{"first", "second"}); });
    end_with_prompts_at(30s, 3);
    execute();
    CHECK(result.warnings.empty());
}

TEST_CASE_FIXTURE(QuestionFixture,
                  "an answer is repeated beside a prompt, which replaces its message")
{
    take_prompts_at(2s, 0, permission());
    answer_at(7s, {"1", "allow", ""});
    say_at(8s, "more");
    clock->at(9s, [&] {
        REQUIRE(tree.answer);
        CHECK(tree.answer->answer == Answer{"1", "allow", ""});
        CHECK(tree.answer->digest == protocol::digest_of(permission()));
        CHECK(tree.answer->prompts == std::vector<std::string>{"more"});
    });
    end_with_prompts_at(12s, 1);
    execute();
    CHECK(result.warnings.empty());
}

TEST_CASE_FIXTURE(QuestionFixture, "a prompt that gets no turn is a warning")
{
    SUBCASE("because the agent takes none")
    {
        ask_at(2s, {});
        say_at(7s, "more");
        end_at(12s);
    }
    SUBCASE("because its last turn ended before")
    {
        take_prompts_at(2s, 0);
        say_at(7s, "more");
        end_with_prompts_at(8s, 0);
    }
    SUBCASE("because it is too long for one message with the others")
    {
        take_prompts_at(2s, 0);
        say_at(6s, "more");
        say_at(7s, std::string(protocol::max_prompt, 'x'));
        clock->at(8s, [&] { CHECK(tree.answer->prompts.size() == 1); });
        end_with_prompts_at(12s, 1);
    }
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    REQUIRE(result.warnings.size() == 1);
    CHECK(contains(result.warnings[0], "1 prompt had no turn"));
}

TEST_CASE_FIXTURE(QuestionFixture,
                  "prompts that are too long or too many are dropped with a warning")
{
    take_prompts_at(2s, 0);
    SUBCASE("too long")
    {
        say_at(7s, std::string(protocol::max_prompt + 1, 'x'));
        end_with_prompts_at(12s, 0);
    }
    SUBCASE("too many")
    {
        clock->at(7s, [&] {
            for (int i = 0; i < 103; ++i) executor->say(tree.attempt_id(), "more");
        });
        end_with_prompts_at(12s, 100);
    }
    execute();
    REQUIRE(result.warnings.size() == 1);
    CHECK(contains(result.warnings[0], "A prompt was dropped: at most 100 wait"));
}

TEST_CASE_FIXTURE(QuestionFixture, "a denial is passed on")
{
    ask_at(2s, permission());
    answer_at(7s, {"1", "", ""});
    clock->at(8s, [&] {
        REQUIRE(tree.answer);
        CHECK(tree.answer->answer.denies());
    });
    end_at(12s);
    execute();
    CHECK(outcome() == "denied");
}

TEST_CASE_FIXTURE(QuestionFixture, "an answer that is none to the question is not passed on")
{
    Answer answer{"1", "allow", ""};
    SUBCASE("of another question")
    {
        answer.question_id = "2";
    }
    SUBCASE("an option that it does not have")
    {
        answer.option = "always";
    }
    SUBCASE("a text instead of an option")
    {
        answer = {"1", "", "yes"};
    }
    SUBCASE("too long")
    {
        answer = {"1", "", std::string(1024 * 1024, 'x')};
    }
    ask_at(2s, permission());
    answer_at(7s, answer);
    put_at(9s, answer);
    end_at(12s);
    execute();
    CHECK_FALSE(tree.answer);
    CHECK(outcome() == "unanswered");
}

TEST_CASE_FIXTURE(QuestionFixture, "the first of two answers counts")
{
    ask_at(2s, permission());
    SUBCASE("one after the other")
    {
        answer_at(7s, {"1", "deny", ""});
        answer_at(8s, {"1", "allow", ""});
    }
    SUBCASE("at the same time, after one to another question")
    {
        clock->at(7s, [&] {
            executor->answer(tree.attempt_id(), {"2", "allow", ""});
            executor->answer(tree.attempt_id(), {"1", "deny", ""});
            executor->answer(tree.attempt_id(), {"1", "allow", ""});
        });
    }
    end_at(12s);
    execute();
    CHECK(tree.answer->answer.option == "deny");
}

TEST_CASE_FIXTURE(QuestionFixture,
                  "an answer to the question before, or before it, counts for none")
{
    answer_at(1s, {"1", "allow", ""});
    ask_at(2s, permission("1"));
    clock->at(7s, [&] { ask(permission("2", "Delete it")); });
    answer_at(12s, {"1", "allow", ""});
    end_at(17s);
    execute();
    CHECK_FALSE(tree.answer);
    CHECK(sink->count(EventType::input_needed) == 2);
    CHECK(sink->count(EventType::input_ended) == 2);
}

TEST_CASE_FIXTURE(QuestionFixture, "an answer to another attempt counts for none")
{
    options.retry = {2, 1s, 1, 1s};
    std::string first;
    ask_at(2s, permission());
    clock->at(7s, [&] {
        first = tree.attempt_id();
        tree.fail("again", "x", true);
    });
    clock->at(13s, [&] {
        REQUIRE(tree.attempt_id() != first);
        tree.take();
        ask(permission());
    });
    clock->at(19s, [&] { executor->answer(first, {"1", "allow", ""}); });
    end_at(25s);
    execute();
    CHECK(result.attempts == 2);
    CHECK_FALSE(tree.answer);
}

TEST_CASE_FIXTURE(QuestionFixture, "what has another content under the same id is never shown")
{
    ask_at(2s, permission("1", "Read a file"));
    clock->at(7s, [&] { ask(permission("1", "Delete everything")); });
    answer_at(12s, {"1", "allow", ""});
    clock->at(13s, [&] {
        CHECK(recorded()->text == "Read a file");
        REQUIRE(tree.answer);
        // So the agent, which asks the other one, refuses it.
        CHECK(tree.answer->digest == protocol::digest_of(permission("1", "Read a file")));
    });
    end_at(17s);
    execute();
    CHECK(sink->count(EventType::input_needed) == 1);
}

TEST_CASE_FIXTURE(QuestionFixture, "an id is shown with one content only, also after its question")
{
    ask_at(2s, permission("1", "Read a file"));
    clock->at(7s, [&] { ask({}); });
    clock->at(12s, [&] { ask(permission("1", "Delete everything")); });
    clock->at(17s, [&] { CHECK_FALSE(recorded()); });
    answer_at(18s, {"1", "allow", ""});
    clock->at(22s, [&] { ask(permission("1", "Read a file")); });
    clock->at(27s, [&] { CHECK(recorded()->text == "Read a file"); });
    end_at(32s);
    execute();
    CHECK_FALSE(tree.answer);
    CHECK(sink->count(EventType::input_needed) == 2);
    REQUIRE(result.warnings.size() == 1);
    CHECK(contains(result.warnings[0], "another one with the same id"));
}

TEST_CASE_FIXTURE(QuestionFixture, "a question that cannot be recorded is a warning")
{
    clock->at(1s, [&] {
        const auto running = project.path() / layout::running;
        std::filesystem::remove_all(running);
        write_file(running, "");
    });
    ask_at(2s, permission());
    end_at(12s);
    execute();
    CHECK(sink->count(EventType::input_needed) == 1);
    CHECK(std::ranges::count_if(result.warnings, [](const auto& warning) {
              return contains(warning, "A question could not be recorded");
          }) == 1);
}

TEST_CASE_FIXTURE(QuestionFixture,
                  "a command that waits for a person does not stall, but times out")
{
    options.stall_timeout = 20s;
    options.timeout = 100s;
    ask_at(2s, permission());
    SUBCASE("while it waits")
    {
        execute();
        CHECK(result.error->code == "timeout");
        CHECK(contains(result.error->message, "it waited for a person: Run make test"));
        CHECK(outcome() == "unanswered");
    }
    SUBCASE("and after its answer it may stall again")
    {
        clock->at(57s, [&] { ask({}); });
        execute();
        CHECK(result.error->code == "stalled");
        CHECK(result.duration < 99s);
    }
}

TEST_CASE_FIXTURE(QuestionFixture, "a command fails at once if no person is to be waited for")
{
    options.on_input = OnInput::fail;
    options.retry.max_attempts = 3;
    ask_at(2s, permission());
    clock->at(7s, [&] {
        REQUIRE(tree.cancel);
        CHECK(tree.cancel->reason == "cancelled");
        tree.fail("stopped", "cancelled");
    });
    auto r = request();
    r.idempotent = true;
    execute(std::move(r));
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.attempts == 1);
    CHECK(result.error->code == "input_needed");
    CHECK(contains(result.error->message, "Run make test"));
}

TEST_CASE_FIXTURE(QuestionFixture, "questions without an answer are recorded only so many times")
{
    options.timeout = 30'000s;
    options.polling_interval = 1s;
    options.stall_timeout = 20s;
    std::size_t asked = 0;
    std::function<void()> ask_more = [&] {
        if (results > 0) return;
        if (asked == 0) tree.take();
        ask(permission(std::to_string(++asked)));
        if (asked < 10'000) clock->at(clock->elapsed() + 2s, ask_more);
    };
    clock->at(2s, ask_more);
    end_at(20'010s);
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(asked == 10'000);
    CHECK(sink->count(EventType::input_needed) == 100);
    CHECK(sink->count(EventType::input_ended) == 100);
}

TEST_CASE_FIXTURE(QuestionFixture, "an answer that cannot be passed on is a warning")
{
    tree.answer_error = make_error_code(boost::system::errc::not_supported);
    ask_at(2s, permission());
    answer_at(7s, {"1", "allow", ""});
    end_at(12s);
    execute();
    REQUIRE(result.warnings.size() == 1);
    CHECK(contains(result.warnings[0], "could not be passed on"));
    CHECK(outcome() == "unanswered");
}

TEST_CASE_FIXTURE(QuestionFixture, "a question is redacted and bounded where it is shown")
{
    auto question = permission(
        "1", "token=ghp_0123456789abcdefghijABCDEFGHIJ012345 " + std::string(100'000, 'x'));
    ask_at(2s, question);
    clock->at(6s, [&] {
        REQUIRE(recorded());
        CHECK_FALSE(contains(recorded()->text, "ghp_0123"));
        CHECK(recorded()->text.size() < 17'000);
    });
    end_at(12s);
    execute();
    CHECK(event(EventType::input_needed).question->text.size() < 17'000);
}

TEST_CASE_FIXTURE(QuestionFixture, "a command that waits can be cancelled")
{
    ask_at(2s, permission());
    clock->at(7s, [&] { cancel.emit(asio::cancellation_type::partial); });
    clock->at(9s, [&] { tree.fail("stopped", "cancelled"); });
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(outcome() == "unanswered");
}

TEST_CASE_FIXTURE(QuestionFixture, "an answer after the end is removed by the next recovery")
{
    end_at(2s);
    execute();
    const auto text = protocol::format_answer({tree.attempt_id(), {"1", "allow", ""}, {}});
    CHECK_FALSE(records::put_answer(project.path(), tree.attempt_id(), text));
    CHECK(records::has_answers(project.path()));
    records::sweep_running(project.path());
    CHECK_FALSE(records::has_answers(project.path()));
}

TEST_CASE("the first answer is kept until it is read, once")
{
    const TemporaryFolder project;
    CHECK_FALSE(records::put_answer(project.path(), "a", "first"));
    CHECK(records::put_answer(project.path(), "a", "second") == boost::system::errc::file_exists);
    CHECK(records::consume_answer(project.path(), "b").empty());
    CHECK(records::consume_answer(project.path(), "a") == "first");
    CHECK(records::consume_answer(project.path(), "a").empty());
    CHECK_FALSE(records::has_answers(project.path()));
}

TEST_SUITE_END();
