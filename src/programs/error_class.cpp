#include "programs/error_class.hpp"

#include "programs/json_values.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <re2/re2.h>
#include <boost/algorithm/string/predicate.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

namespace autoexec::programs {
namespace {

struct WordsOfCode {
    const char* pattern;
    std::string_view code;
};

// The first that matches counts, so the more specific ones come first: a message about a spent
// quota often contains a 429, too.
constexpr std::array<WordsOfCode, 9> words_of_codes{{
    {R"(context (window|length)|prompt is too long|maximum context|context_length_exceeded|)"
     R"(token count .*exceeds|ContextOverflow)",
     "context"},
    {R"(insufficient_quota|credit balance|quota exceeded|exceeded your current quota|)"
     R"(exhausted your (daily )?quota|)"
     R"(usage limit|out of credits|billing|spend(ing)? limit|payment required)",
     "quota"},
    {R"(not logged in|unauthorized|authenticat|invalid (x-)?api.?key|incorrect api key|)"
     R"(api key not valid|missing environment variable|(no|missing|specify the).{0,20}api.?key|permission_denied|\b40[13]\b)",
     "auth"},
    {R"(rate.?limit|too many requests|resource_exhausted|resource (has been )?exhausted|\b429\b)",
     "rate_limited"},
    {R"(overloaded|service unavailable|\bunavailable\b|\b(500|502|503|529)\b|internal server error)",
     "overloaded"},
    {R"(model.{0,80}(not found|does not exist|not supported|not exist)|not_found_error|)"
     R"(issue with the selected model|model_not_found|\b404\b)",
     "model_not_found"},
    {R"(refus(al|ed to)|content.?(filter|policy)|usage polic|safety)", "refused"},
    {R"(connection (error|refused|reset|closed)|econn|enotfound|fetch failed|network|)"
     R"(stream (disconnected|closed)|\bterminated\b|socket|unable to connect|error sending request|dns)",
     "network"},
    {R"(max(imum)?[ _](session )?turns|turn limit)", "max_turns"},
}};

const RE2& compiled(std::size_t i)
{
    static const auto all = [] {
        RE2::Options options;
        options.set_case_sensitive(false);
        options.set_log_errors(false);
        std::array<std::unique_ptr<RE2>, words_of_codes.size()> made;
        for (std::size_t n = 0; n < made.size(); ++n)
            made[n] = std::make_unique<RE2>(words_of_codes[n].pattern, options);
        return made;
    }();
    return *all[i];
}

}  // namespace

std::string_view code_of_http_status(int status)
{
    switch (status) {
        case 401:
        case 403:
            return "auth";
        case 402:
            return "quota";
        case 404:
            return "model_not_found";
        case 413:
            return "context";
        case 429:
            return "rate_limited";
        default:
            return status >= 500 && status <= 599 ? "overloaded" : "";
    }
}

std::string_view code_of_words(std::string_view words)
{
    for (std::size_t i = 0; i < words_of_codes.size(); ++i)
        if (RE2::PartialMatch(words, compiled(i))) return words_of_codes[i].code;
    return {};
}

std::optional<std::chrono::milliseconds> wait_in_words(std::string_view words)
{
    static const RE2 pattern(
        R"((?i)(?:try again|retry|retrying|reset|resets)(?:[- ]after| in):? *([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h)?)");
    std::string number;
    std::string unit;
    if (!RE2::PartialMatch(words, pattern, &number, &unit)) return std::nullopt;
    return text::parse_duration(number + unit);
}

std::string sentence_of(std::string words)
{
    constexpr std::string_view mark = "[API Error: ";
    if (words.starts_with(mark) && words.ends_with(']'))
        words = words.substr(mark.size(), words.size() - mark.size() - 1);
    for (int depth = 0; depth < 3 && words.starts_with('{'); ++depth) {
        const auto reading = text::read_json_object(words);
        if (reading.kind != text::JsonReading::Kind::valid) break;
        const boost::json::value answer(reading.object);
        std::string sentence;
        for (const auto* pointer : {"/error/message", "/message", "/detail"})
            if (sentence.empty()) sentence = text_at(answer, pointer);
        if (sentence.empty()) break;
        words = std::move(sentence);
    }
    return words;
}

bool waiting_may_help(std::string_view code)
{
    return code != "auth" && code != "quota" && code != "model_not_found";
}

}  // namespace autoexec::programs
