#include "programs/error_class.hpp"

#include "programs/json_values.hpp"
#include "protocol/error_classes.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <re2/re2.h>
#include <boost/algorithm/string/predicate.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string>

namespace autoexec::programs {
namespace {

struct WordsOfCode {
    const char* pattern;
    std::string_view code;
};

// The first that matches counts. Each is a phrase that only a failure has: the texts may be lines
// of standard error, which can be about anything.
constexpr std::array<WordsOfCode, 9> words_of_codes{{
    {R"((prompt|input|request) is too long|maximum context|context_length_exceeded|)"
     R"((exceed\w*|out of room).{0,80}context|context.{0,40}(exceeded|overflow|too long)|)"
     R"(token count .*exceeds|too many tokens)",
     "context"},
    {R"(insufficient (quota|credit|balance|funds)|insufficient_quota|credit balance|quota exceeded|)"
     R"(exceeded your (current )?quota|exhausted your (daily )?quota|out of credits|)"
     R"(usage limit (was |has been )?(reached|exceeded)|)"
     R"((hit|reached|exceeded) (your|the) .{0,20}(usage|spend(ing)?) limit|)"
     R"(plan and billing|billing[_ ](error|hard_limit|not_active)|payment required)",
     "quota"},
    {R"(not logged in|please run /login|(^|[:\d] )unauthori[sz]ed|unauthenticated|)"
     R"(authenticat\w+[ _](error|failed|failure|required)|invalid authentication|)"
     R"((fail\w*|unable|could not|cannot|not|must) (to )?authenticate|invalid (x-)?api.?key|)"
     R"(incorrect api key|api key (is )?(not valid|invalid|missing|required|expired)|)"
     R"(missing environment variable|(no|missing|specify the|set the) .{0,20}api.?key|)"
     R"(permission_denied)",
     "auth"},
    {R"(^rate.?limit|rate.?limit(ed\b|_error|[ _]exceeded| reached|: )|)"
     R"((exceed|reach|hit)\w*.{0,30}rate.?limit|too many requests|resource.(has been )?exhausted)",
     "rate_limited"},
    {R"(overloaded_error|(is|are|currently|temporarily) overloaded|)"
     R"((^|[:\d] )overloaded($|[.:]| errors)|)"
     R"(service (is )?(currently |temporarily )?unavailable|(status|code)\W{0,3}unavailable|)"
     R"(high demand|internal server error)",
     "overloaded"},
    {R"(models?\b.{0,80}(not found|does not exist|not supported|not exist)|not_found_error|)"
     R"(issue with the selected model|model_not_found)",
     "model_not_found"},
    {R"((model|assistant|api|request) (has |was )?refused|content.?(filter|policy)|usage polic|)"
     R"((blocked|stopped|finish).{0,40}safety)",
     "refused"},
    {R"(connection (error|refused|reset|closed|lost|timed out|terminated)|)"
     R"(econn(refused|reset|aborted)|enotfound|etimedout|eai_again|getaddrinfo|fetch failed|)"
     R"(socket (hang up|closed|connection)|)"
     R"(network (error|request failed|(is )?unreachable|connection|timeout)|for (the )?network|)"
     R"(stream (disconnected|closed)|(^|: )terminated($|[.:] |\W*\()|und_err_socket|unable to connect|)"
     R"(cannot connect|connect to api|error sending request|dns error|premature close)",
     "network"},
    {R"(max(imum)?[ _](session )?turns|turn limit)", "max_turns"},
}};

// Their texts often contain the status of another cause.
constexpr std::size_t codes_before_status = 2;

// An HTTP status, where it cannot be another number: `status 401`, `API Error: 529 Overloaded`,
// `404 Not Found`.
constexpr char status_in_words[] =
    R"re((?i)\b(?:status|http(?:/[\d.]+)?|api error|code|rejected|failed with)"?)re"
    R"re((?: (?:status|code))*[ :=("]*([45]\d\d)\b|)re"
    R"re(^\W{0,2}([45]\d\d)(?:\W*$|:|,| (?:status|\(|\{|(?-i:[A-Z]|\w+_\w+))))re";

std::string_view code_of_status_in(std::string_view words)
{
    static const RE2 pattern(status_in_words);
    std::string after_word;
    std::string first;
    if (!RE2::PartialMatch(words, pattern, &after_word, &first)) return {};
    return code_of_http_status(std::atoi((after_word + first).c_str()));
}

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
    for (std::size_t i = 0; i < words_of_codes.size(); ++i) {
        const auto code = i == codes_before_status ? code_of_status_in(words) : "";
        if (!code.empty()) return code;
        if (RE2::PartialMatch(words, compiled(i))) return words_of_codes[i].code;
    }
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
    // A line of a log.
    constexpr std::string_view field = " error.error=\"";
    if (const auto at = words.find(field); at != words.npos)
        words =
            words.substr(at + field.size(), words.find('"', at + field.size()) - at - field.size());
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
    return protocol::reaction_to(code) != protocol::AgentReaction::stop;
}

}  // namespace autoexec::programs
