#include "protocol/question_format.hpp"

#include "protocol/running_files.hpp"
#include "protocol/status.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>

#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::protocol;
using test::contains;

namespace {

Question permission()
{
    Question question{QuestionKind::permission, "1", "Run make test", {}, {}};
    question.options = {{"allow", "Allow it once"}, {"deny", "Deny it"}};
    question.since = std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000));
    return question;
}

std::optional<Question> read(const std::string& value, std::vector<std::string>& complaints)
{
    const auto object = boost::json::parse(R"({"waiting_for":)" + value + "}").as_object();
    return question_in(object, "waiting_for", complaints);
}

std::string flaw(std::string option, std::string text, std::string id = "1")
{
    return flaw_of({std::move(id), std::move(option), std::move(text)}, permission());
}

}  // namespace

TEST_CASE("a question is read from a status as it was written")
{
    AgentStatus status;
    status.status = ReportedStatus::running;
    status.waiting_for = permission();
    const auto reading = parse_status(format_status(status));
    CHECK(reading.status.waiting_for == permission());
    CHECK(reading.status.warnings.empty());
    CHECK_FALSE(reading.status.is_final());
}

TEST_CASE("a text is a question, with an id that depends on its content")
{
    std::vector<std::string> complaints;
    const auto one = read(R"("Which port?")", complaints);
    REQUIRE(one);
    CHECK(one->kind == QuestionKind::question);
    CHECK(one->text == "Which port?");
    CHECK(one->id.size() == 16);
    CHECK(read(R"("Which port?")", complaints)->id == one->id);
    CHECK(read(R"("Which host?")", complaints)->id != one->id);
    CHECK(complaints.empty());
}

TEST_CASE("what has a wrong type is dropped, with a warning")
{
    for (const auto* value : {"7", "[]", "true", "{}", R"("")", R"({"text": 7})"}) {
        CAPTURE(value);
        std::vector<std::string> complaints;
        CHECK_FALSE(read(value, complaints));
        CHECK_FALSE(complaints.empty());
        AgentStatus status;
        const auto reading = parse_status(R"({"version":"1.0","status":"running","waiting_for":)" +
                                          std::string(value) + "}");
        CHECK(reading.kind == StatusReading::Kind::valid);
        CHECK_FALSE(reading.status.waiting_for);
        CHECK_FALSE(reading.status.warnings.empty());
    }
    for (const auto* part :
         {R"("kind": "bribe")", R"("kind": 1)", R"("options": {})", R"("options": [1])",
          R"("options": [{"label": "x"}])", R"("options": [{"id": "a"}, {"id": "a"}])"}) {
        CAPTURE(part);
        std::vector<std::string> complaints;
        const auto question =
            read(R"({"id": "q", "text": "t", )" + std::string(part) + "}", complaints);
        REQUIRE(question);
        CHECK(question->kind == QuestionKind::question);
        CHECK(complaints.size() == 1);
    }
}

TEST_CASE("options and ids are bounded")
{
    std::string options;
    for (int i = 0; i < 1000; ++i)
        options += (i == 0 ? "" : ",") + (R"({"id":")" + std::to_string(i) + R"("})");
    std::vector<std::string> complaints;
    const auto question =
        read(R"({"id":")" + std::string(101, 'x') + R"(","text":"t","options":[)" + options + "]}",
             complaints);
    REQUIRE(question);
    CHECK(question->options.size() == max_question_options);
    CHECK(question->id.size() == 16);
    CHECK(question->options.front().label == "0");
    CHECK(complaints.size() == 1);
}

TEST_CASE("the digest of a question covers all that a person sees, but not its time")
{
    const auto digest = digest_of(permission());
    auto other = permission();
    other.since.reset();
    CHECK(digest_of(other) == digest);
    other.text += ".";
    CHECK(digest_of(other) != digest);
    other = permission();
    other.options[1].label = "Allow it, too";
    CHECK(digest_of(other) != digest);
    other = permission();
    other.id = "2";
    CHECK(digest_of(other) != digest);
    other = permission();
    other.kind = QuestionKind::question;
    CHECK(digest_of(other) != digest);
}

TEST_CASE("an answer must fit its question")
{
    CHECK(flaw("allow", "").empty());
    CHECK(flaw("", "").empty());
    CHECK(contains(flaw("allow", "", "2"), "another question"));
    CHECK(contains(flaw("always", ""), "no option 'always'"));
    CHECK(contains(flaw("", "yes"), "not by a text"));
    CHECK(contains(flaw("allow", "yes"), "both"));
    const Question question{QuestionKind::question, "1", "Which port?", {}, {}};
    CHECK(flaw_of({"1", "", "8080"}, question).empty());
    CHECK(flaw_of({"1", "", ""}, question).empty());
    CHECK(contains(flaw_of({"1", "", std::string(1024 * 1024, 'x')}, question), "at most"));
}

TEST_CASE("an answer is read as it was written, and not at all if it is damaged")
{
    for (const auto& answer :
         {Answer{"1", "allow", ""}, Answer{"1", "", "8080\n"}, Answer{"1", "", ""}}) {
        const auto file = parse_answer(format_answer({"a", answer, "d"}));
        REQUIRE(file);
        CHECK(file->attempt_id == "a");
        CHECK(file->answer == answer);
        CHECK(file->digest == "d");
    }
    for (const auto* text :
         {"", "{}", "[]", R"({"attempt_id": "a"})", R"({"question_id": "1"})",
          R"({"attempt_id": "a", "question_id": "1", "option": 7})",
          R"({"attempt_id": "a", "question_id": "1", "option": ["allow"]})",
          R"({"attempt_id": "a", "question_id": "1", "option": "allow")",
          "{\"attempt_id\": \"a\", \"question_id\": \"1\", \"option\": \"al\xfflow\"}"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_answer(text));
    }
    CHECK_FALSE(
        parse_answer(format_answer({"a", {"1", "", std::string(max_answer_text + 1, 'x')}, ""})));
    AnswerFile said{"a", {}, {}};
    said.prompts = {"more", "\n"};
    said.earlier_prompts = 3;
    said.prompt_id = std::string(64, 'x');
    const auto read_again = parse_answer(format_answer(said));
    REQUIRE(read_again);
    CHECK(read_again->prompts == said.prompts);
    CHECK(read_again->earlier_prompts == 3);
    CHECK(read_again->prompt_id == said.prompt_id);
    said.prompt_id += 'x';
    CHECK_FALSE(parse_answer(format_answer(said)));
    said.prompt_id.clear();
    said.prompts.emplace_back(max_prompt + 1, 'x');
    CHECK_FALSE(parse_answer(format_answer(said)));
    CHECK_FALSE(parse_answer(R"({"attempt_id":"a","prompts":[]})"));
    CHECK_FALSE(parse_answer(R"({"attempt_id":"a","prompts":"more"})"));
}

TEST_CASE("a running record holds the question that its attempt waits for")
{
    RunningRecord record;
    record.execution_id = "e";
    record.attempt_id = "a";
    record.waiting_for = permission();
    CHECK(parse_running(format_running(record))->waiting_for == permission());
    record.waiting_for.reset();
    CHECK_FALSE(parse_running(format_running(record))->waiting_for);
}
