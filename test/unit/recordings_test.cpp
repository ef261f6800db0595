#include "programs/event_reader.hpp"
#include "programs/known_programs.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>

using namespace autoexec;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::string_view done;  // no error

// What the scenarios of `./dev agents` are, seen by the output alone: whether the report was
// written is for the executor to find out.
const std::map<std::string_view, std::string_view> code_of{
    {"success", done},
    {"pretends", done},
    {"question", done},
    {"background", done},
    {"large", done},
    {"rate_limited_once", done},
    {"cut_once", done},
    {"denied", done},
    {"denied_unchecked", done},
    {"denied_recovers", done},
    {"unauthorized", "auth"},
    {"wrong_key", "auth"},
    {"no_key", "auth"},
    {"no_credit", "quota"},
    {"model_missing", "model_not_found"},
    {"context", "context"},
    {"rate_limited", "rate_limited"},
    {"overloaded", "overloaded"},
    {"cut", "network"},
    {"cut_in_answer", "network"},
    {"no_network", "network"},
    {"max_tokens", "agent_error"},
    {"refusal", "refused"},
    {"max_turns", "max_turns"},
    {"budget", "budget"},
    {"empty", "agent_error"},
    {"empty_unchecked", "agent_error"},
};

// Where a program's output tells something else, or nothing.
const std::map<std::string_view, std::string_view> particular{
    {"claude/empty", done},         {"codex/empty", done},     {"opencode/empty", done},
    {"gemini/cut_once", "network"},  // it does not try again
    {"gemini/max_tokens", done},    {"qwen/max_tokens", done}, {"codex/refusal", done},
    {"gemini/refusal", done},       {"qwen/refusal", done},
};

struct Recording {
    std::string program;
    std::string scenario;
    std::string output;
    std::string errors;
    ProcessExit exit;
    bool timed_out = false;
};

std::vector<Recording> recordings()
{
    std::vector<Recording> all;
    const fs::path root = AUTOEXEC_SOURCE_DIR "/test/agents/recordings";
    for (const auto* program : {"claude", "codex", "gemini", "opencode", "qwen"}) {
        const auto ends = json::parse(test::read_file(root / program / "ends.json"));
        for (const auto& [scenario, end] : ends.as_object()) {
            Recording one{program, scenario, {}, end.at("stderr").as_string().c_str(), {}};
            one.output = test::read_file(root / program / (one.scenario + ".jsonl"));
            if (const auto& code = end.at("exit_code"); !code.is_null())
                one.exit.exit_code = static_cast<int>(code.as_int64());
            if (const auto& signal = end.at("signal"); !signal.is_null())
                one.exit.signal = static_cast<int>(signal.as_int64());
            one.timed_out = end.at("timed_out").as_bool();
            all.push_back(std::move(one));
        }
    }
    return all;
}

programs::EventReader read(const Recording& one)
{
    programs::EventReader reader(*programs::find_output_rules(one.program));
    reader.feed(OutputStream::standard_output, one.output);
    reader.feed(OutputStream::standard_error, one.errors);
    return reader;
}

}  // namespace

TEST_CASE("each recorded end of a real program is classified as a person would")
{
    std::set<std::string> judged;
    for (const auto& one : recordings()) {
        const auto name = one.program + "/" + one.scenario;
        CAPTURE(name);
        const auto usual = code_of.find(one.scenario);
        // It was stopped, or may end in several ways.
        if (usual == code_of.end() || one.timed_out) continue;
        judged.insert(one.scenario);
        auto reader = read(one);
        const auto verdict = reader.hopeless()
                                 ? programs::hopeless_verdict({}, *reader.trouble())
                                 : reader.verdict(one.exit).value_or(programs::ProgramVerdict{});
        CAPTURE(verdict.message);
        const auto exception = particular.find(name);
        CHECK(verdict.code == (exception == particular.end() ? usual->second : exception->second));
        CHECK(verdict.completed == verdict.code.empty());
        CHECK(verdict.message.find_first_of("{}") == std::string::npos);
        CHECK(verdict.message.find("    at ") == std::string::npos);
    }
    CHECK(judged.size() > 15);
}

TEST_CASE("a refused tool is named, whichever program was refused it")
{
    int count = 0;
    for (const auto& one : recordings()) {
        if (!one.scenario.starts_with("denied")) continue;
        CAPTURE(one.program);
        CHECK(read(one).denied().find("mkdir ../forbidden") != std::string::npos);
        ++count;
    }
    CHECK(count >= 10);
}

TEST_CASE("a program that waited until it was stopped has told why, except for Qwen Code")
{
    int count = 0;
    for (const auto& one : recordings()) {
        if (one.scenario != "rate_limited" || !one.timed_out || one.program == "qwen") continue;
        CAPTURE(one.program);
        CHECK(read(one).trouble().value().code == "rate_limited");
        ++count;
    }
    CHECK(count == 2);
}

TEST_CASE("recorded sessions and tokens are found, and their sums are right")
{
    for (const auto& one : recordings()) {
        if (one.scenario != "success") continue;
        CAPTURE(one.program);
        const auto reader = read(one);
        CHECK(reader.concluded());  // so it is stopped if it does not exit
        CHECK_FALSE(reader.session().empty());
        // The stand-in reports two answers of 600, 50 and 400 tokens.
        CHECK(reader.usage().input_tokens == 1200);
        CHECK(reader.usage().output_tokens == 100);
        CHECK(reader.usage().cache_read_tokens == 800);
        CHECK(reader.shown() == "Done: the report is in report.md.");
    }
}
